"""What everything here builds on: files, frames of reference, statuses."""
