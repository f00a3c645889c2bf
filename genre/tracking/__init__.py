"""The runs in MLflow, and what DVC knows of experiments; never a dep in dvc.yaml."""
