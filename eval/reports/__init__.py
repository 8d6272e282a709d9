"""Reports: tables, plots, Markdown and one HTML page that opens offline."""
