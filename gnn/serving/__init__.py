"""The local web app: a typed JSON API over one model, and a page on it."""
