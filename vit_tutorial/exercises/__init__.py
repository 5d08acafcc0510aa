"""Self-checks of the exercises: one file per lesson, gathered in `check`."""
