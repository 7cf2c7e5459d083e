"""What a source may say, ask and know, before anything is read."""
