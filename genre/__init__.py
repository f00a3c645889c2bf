"""Music genre classification: what the stages of the pipeline share."""
