"""The command line of the stages and the messages it prints; never a dep in dvc.yaml."""
