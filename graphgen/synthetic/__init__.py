"""A believable log of several domains, made up: themes, people, titles, held-out parts."""
