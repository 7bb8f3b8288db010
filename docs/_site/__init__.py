"""How the pages of docs/ become a site: notebooks from plain Markdown, tables, checks."""
