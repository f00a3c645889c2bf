"""The stages of dvc.yaml: one thin script each, run as `python -m stages.NAME PATH...`.

This file runs before all that a stage imports, which takes seconds: on a terminal it says that the stage begins. Its
clock stops where `genre.console.stage` reads the command line.
"""

import atexit
import gc
import sys

if sys.argv[0] == "-m":  # so it is only while Python looks for the module that it shall run
    atexit.register(gc.freeze)  # else Python goes through all objects of torch and mlflow before it ends
    if sys.stderr.isatty():
        from genre.console import start

        start.begin(f"{sys.orig_argv[sys.orig_argv.index('-m') + 1]}: starting")
