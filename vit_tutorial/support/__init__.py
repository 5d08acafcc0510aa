"""What everything may use: whole files, places on disk, and whether anybody is watching."""
