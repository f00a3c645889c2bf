"""The training loop, its batches, augmentation and checkpoints."""
