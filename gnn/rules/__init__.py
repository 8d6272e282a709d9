"""Rules between interests: their file, their use, and their mining from interactions."""
