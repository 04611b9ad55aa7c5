"""What `train` is told and what it then calls: a file for each kind of subcommand."""
