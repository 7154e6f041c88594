"""Assets of what is made from the catalogue for people outside: the page."""
