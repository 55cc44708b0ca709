"""What the command line and the pages both show and do: documents as plain data, words, errors. It prints nothing."""
