"""Earlier runs as git and DVC keep them: commits, experiments, and the dvc.lock of each."""
