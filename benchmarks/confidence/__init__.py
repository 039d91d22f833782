"""Parts of the study of confidence."""
