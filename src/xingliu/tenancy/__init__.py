"""Who is invoiced, who owns inside it, who acts; see README.md."""
