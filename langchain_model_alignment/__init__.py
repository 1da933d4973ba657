"""Make a prompt follow people's wishes."""
