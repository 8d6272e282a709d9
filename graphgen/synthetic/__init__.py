"""A synthetic log of several domains: themes, users, titles, held-out parts."""
