"""Networks of many families, each opened, cut, fitted, exported and trained."""
