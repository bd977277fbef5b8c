"""PyTorch reference detectors, their operators and their checkpoints."""
