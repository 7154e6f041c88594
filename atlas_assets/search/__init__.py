"""What is nearest to a picture or to words that are not in the library. What is computed here is shown and not kept."""
