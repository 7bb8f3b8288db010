"""Section 5 of Costa & Kwon (2020): its experiments, tables and figures."""
