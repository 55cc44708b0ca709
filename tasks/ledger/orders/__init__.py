"""Orders of many purchases: cancelled, kept below their limit, open again."""
