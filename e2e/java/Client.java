import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.CookieHandler;
import java.net.CookieManager;
import java.net.CookieStore;
import java.net.HttpCookie;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.List;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import okhttp3.JavaNetCookieJar;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

/**
 * Sends the requests that it is told on standard input, one a line (method, URL, form), with the cookies that
 * java.net.CookieManager keeps, and answers each with a line: status and body. The line "restart" drops what a browser
 * drops when it is closed. Arguments: which client, and the certificate that it is to trust.
 */
public final class Client {
	private interface Sender {
		String send(String method, String url, String form) throws Exception;
	}

	private static final String FORM = "application/x-www-form-urlencoded";

	public static void main(String[] args) throws Exception {
		CookieManager cookies = new CookieManager();
		TrustManagerFactory trust = trusting(args[1]);
		SSLContext tls = SSLContext.getInstance("TLS");
		tls.init(null, trust.getTrustManagers(), null);
		Sender sender;
		switch (args[0]) {
			case "HttpClient":
				sender = httpClient(cookies, tls);
				break;
			case "HttpURLConnection":
				sender = httpURLConnection(cookies, tls);
				break;
			case "OkHttp":
				sender = okHttp(cookies, tls, (X509TrustManager) trust.getTrustManagers()[0]);
				break;
			default:
				throw new IllegalArgumentException(args[0]);
		}
		BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
		for (String line; (line = lines.readLine()) != null; ) {
			if (line.equals("restart")) {
				restart(cookies.getCookieStore());
				System.out.println("200 ");
				continue;
			}
			String[] words = line.split(" ", 3);
			System.out.println(sender.send(words[0], words[1], words[2]).replace("\n", "\\n"));
		}
	}

	/** A browser that closes keeps what has a Max-Age. */
	private static void restart(CookieStore store) {
		for (HttpCookie cookie : List.copyOf(store.getCookies())) {
			if (cookie.getMaxAge() < 0) {
				store.remove(null, cookie);
			}
		}
	}

	private static TrustManagerFactory trusting(String certificate) throws Exception {
		KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
		store.load(null, null);
		try (InputStream in = new FileInputStream(certificate)) {
			store.setCertificateEntry("test", CertificateFactory.getInstance("X.509").generateCertificate(in));
		}
		TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
		trust.init(store);
		return trust;
	}

	private static Sender httpClient(CookieManager cookies, SSLContext tls) {
		HttpClient client = HttpClient.newBuilder().cookieHandler(cookies).sslContext(tls).build();
		return (method, url, form) -> {
			HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url));
			if (method.equals("GET")) {
				request.GET();
			} else {
				request.header("Content-Type", FORM).method(method, HttpRequest.BodyPublishers.ofString(form));
			}
			HttpResponse<String> response = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
			return response.statusCode() + " " + response.body();
		};
	}

	private static Sender httpURLConnection(CookieManager cookies, SSLContext tls) {
		CookieHandler.setDefault(cookies);
		HttpsURLConnection.setDefaultSSLSocketFactory(tls.getSocketFactory());
		return (method, url, form) -> {
			HttpURLConnection connection = (HttpURLConnection) new URL(url).openConnection();
			connection.setInstanceFollowRedirects(false);
			connection.setRequestMethod(method);
			if (!method.equals("GET")) {
				connection.setDoOutput(true);
				connection.setRequestProperty("Content-Type", FORM);
				connection.getOutputStream().write(form.getBytes(StandardCharsets.UTF_8));
			}
			int status = connection.getResponseCode();
			try (InputStream body = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
				return status + " " + new String(body.readAllBytes(), StandardCharsets.UTF_8);
			}
		};
	}

	private static Sender okHttp(CookieManager cookies, SSLContext tls, X509TrustManager trust) {
		OkHttpClient client = new OkHttpClient.Builder()
			.cookieJar(new JavaNetCookieJar(cookies))
			.sslSocketFactory(tls.getSocketFactory(), trust)
			.followRedirects(false)
			.build();
		return (method, url, form) -> {
			RequestBody body = method.equals("GET") ? null : RequestBody.create(MediaType.parse(FORM), form);
			try (Response response = client.newCall(new Request.Builder().url(url).method(method, body).build()).execute()) {
				return response.code() + " " + response.body().string();
			}
		};
	}
}
