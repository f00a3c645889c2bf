"""The stages of dvc.yaml: one thin script each, run as `python -m stages.NAME PATH...`."""
