"""Files and folders on the disk: written completely or not at all, by one process at a time."""
