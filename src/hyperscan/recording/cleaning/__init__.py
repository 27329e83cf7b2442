"""From recordings as read to clean signals of both people, judged."""
