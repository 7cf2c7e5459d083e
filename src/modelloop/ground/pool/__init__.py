"""Work done: queued jobs go in; each is held by one worker at a time and carried out in a process of its own."""
