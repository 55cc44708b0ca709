"""What services send and are told, described for them: the tasks, and the events of the results channel."""
