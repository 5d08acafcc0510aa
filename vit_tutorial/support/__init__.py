"""What everything may use: whole files, places on disk, one picture as pixels, and whether anybody is watching."""
