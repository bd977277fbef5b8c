"""Training ThunderNet: data in, checkpoints out. The recipe is section 4.1 where nothing else is set."""
