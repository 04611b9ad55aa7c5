"""The subcommands of `train`, with their arguments and the functions that they call."""
