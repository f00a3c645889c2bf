"""Runs a command in a terminal of its own, and tells the longest time in which it printed nothing.

    python -m benchmarks.silence dvc repro
    python -m benchmarks.silence --times genre sync

The output is shown as it comes, after that a Markdown table: the longest silences, and what stood last on the terminal
before each. The terminal has 100 columns. `--times` adds the processor seconds of the command and its children.
"""

import argparse
import fcntl
import os
import pty
import re
import resource
import struct
import sys
import termios
import time

SHOWN = 5  # silences
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x07")


def main() -> int:
    """Prints the table; returns the exit status of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", action="store_true", help="also print processor seconds")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    status, silences = run(arguments.command)
    print("\n| silence, seconds | after | until |\n|---|---|---|")
    for seconds, before, after in sorted(silences, reverse=True)[:SHOWN]:
        print(f"| {seconds:.1f} | {before} | {after} |")
    if arguments.times:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"\nprocessor seconds: {used.ru_utime + used.ru_stime:.1f}")
    return status


def run(command: list[str]) -> tuple[int, list[tuple[float, str, str]]]:
    """Runs a command; returns its status, and (seconds, last line before, first line after) of each silence."""
    process, terminal = pty.fork()
    if process == 0:
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    silences, last, line = [], time.monotonic(), "the start"
    while text := _read(terminal):
        now = time.monotonic()
        sys.stdout.write(text)
        sys.stdout.flush()
        lines = [part.strip() for part in re.split(r"[\r\n]+", CONTROL.sub("", text)) if part.strip()]
        silences.append((now - last, line, lines[0][:70] if lines else ""))
        last, line = now, lines[-1][:70] if lines else line
    silences.append((time.monotonic() - last, line, "the end"))
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), silences


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # the other side is closed
        return ""


if __name__ == "__main__":
    sys.exit(main())
