"""What DVC and git know of earlier runs: commits, experiments, and what dvc.lock says of each."""
