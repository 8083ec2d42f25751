# Three servers that share sessions, in turn, behind a cache.
#
#	varnishd -a 127.0.0.1:8080 -f /etc/varnish/default.vcl
#
# A request with a cookie passes the cache, unless this file says that its answer is the same for everybody. What a
# session was read for says "Vary: Cookie", what sets one says "private": Varnish heeds both.
#
# Only for a MaxSize over 8,000 bytes, where Varnish answers 400 to the visitor's requests:
#
#	-p http_req_hdr_len=32k -p http_req_size=48k

vcl 4.1;

import directors;

probe health {
	.url = "/healthz";
	.interval = 1s;
	.window = 3;
	.threshold = 1;
	.initial = 1;
}

backend one   { .host = "127.0.0.1"; .port = "8081"; .probe = health; }
backend two   { .host = "127.0.0.1"; .port = "8082"; .probe = health; }
backend three { .host = "127.0.0.1"; .port = "8083"; .probe = health; }

sub vcl_init {
	new app = directors.round_robin();
	app.add_backend(one);
	app.add_backend(two);
	app.add_backend(three);
}

sub vcl_recv {
	set req.backend_hint = app.backend();

	# The same for everybody. Where the server looks at the session, or sets it, the cookies must stay.
	if (req.url ~ "^/static/") {
		unset req.http.Cookie;
	}
}

sub vcl_backend_error {
	# A server that has just gone down: ask another at once. A form may have been received, so it isn't sent again.
	if (bereq.retries == 0 && (bereq.method == "GET" || bereq.method == "HEAD")) {
		return (retry);
	}
}
