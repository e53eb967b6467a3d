"""The console: pages for people who manage keys. Server-rendered; works with nothing but links and forms."""
