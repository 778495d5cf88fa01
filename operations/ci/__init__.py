"""`./itqan ci`: what the pipelines do on pull requests, on main, every night and every hour."""
