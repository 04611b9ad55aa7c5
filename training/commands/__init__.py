"""The subcommands of `train`: their arguments, and the functions that they call."""
