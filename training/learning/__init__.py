"""How teachers and students learn."""
