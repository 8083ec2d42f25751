package cookiesession

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// Config says how a Manager keeps sessions. Except for Keys, the zero value of every field is safe.
type Config struct {
	// Keys seal and open the cookies. Required.
	Keys *Keyring

	// Name is the session cookie's name without prefix, "session" if empty: at most 64 characters that a cookie name
	// may have (RFC 6265, 4.1.1), without a dot. It is sent as "__Host-session"; as "__Secure-session" if Domain or
	// another Path than "/" is set; and as "session" if Insecure (RFC 6265bis, 4.1.3). The other cookies' names start
	// with it and a dot. Letters and digits are safest: web application firewalls refuse requests for a quote or "--"
	// in a cookie's name, also if a minus at the beginning of Name follows that of the prefix.
	Name string

	// Scope separates applications and environments that share keys: a cookie of one scope doesn't open in another. At
	// most 65,535 bytes. On one host, whatever their ports (RFC 6265, 8.5), applications need different Names, too, or
	// replace each other's cookies.
	Scope string

	// Domain makes the cookies go to all hosts of a domain, every one of which can then replace them. Empty, the
	// default, keeps them to the host that set them.
	Domain string

	// Path limits the cookies to requests below it, written as in a URL; "/" if empty. It doesn't protect them from
	// other paths of the host. Requests elsewhere lack the cookies, so a page there that puts a value replaces the
	// session below Path: install Handler below Path only.
	Path string

	// SameSite is http.SameSiteLaxMode if zero. Strict makes browsers withhold the session also when a visitor follows
	// a link from another site or returns from a login at an identity provider; a Lax cookie, NAME.here, then tells
	// that there is a session, so that the page doesn't replace it. None is for pages that other sites embed; then only
	// ProtectCSRF stands between the session and what other sites send.
	SameSite http.SameSite

	// Partitioned, beside SameSite None, gives an embedded page a session for each site that embeds it (CHIPS). MaxSize is
	// then at most 9,600.
	Partitioned bool

	// Insecure drops the Secure attribute and the name's prefix. It is for plain HTTP, where browsers silently drop
	// Secure cookies except on localhost, and WebKit's browsers and most HTTP libraries even there.
	Insecure bool

	// Lifetime is how long a session lasts from its start or from Regenerate, used or not: 24 hours if zero, at least a
	// second, at most 400 days (what browsers keep a cookie, RFC 6265bis, 5.5). The end is sealed in the session, so
	// lowering Lifetime doesn't shorten sessions that exist; Keyring.RefuseBefore ends them.
	Lifetime time.Duration

	// IdleTimeout ends a session that hasn't been used for that long. Zero means never; otherwise at least a second and
	// at most Lifetime. Times are whole seconds, and use is noted once in min(IdleTimeout/10, one minute), so a session may
	// end that much early. An open WebSocket or event stream doesn't count as use.
	IdleTimeout time.Duration

	// Persistent keeps the session when the browser is closed. Without it browsers that restore their windows at the
	// next start may still keep it.
	Persistent bool

	// MaxRemember is the most that Remember and ExpireIn may grant: 400 days if zero, at least a second, at most 400
	// days.
	MaxRemember time.Duration

	// FlashLifetime is how long a flash message waits to be read: 10 minutes if zero, at least a second, at most 400
	// days.
	FlashLifetime time.Duration

	// MaxSize is how many bytes session and flash may add to a request's Cookie header, counting "; " once per cookie:
	// 6,144 if zero, at least 512, at most what nine cookies hold, about 34,000. Beyond it saving fails with a
	// *SizeError. Common proxies refuse a Cookie line above 8,182 bytes.
	MaxSize int

	// DeviceProof, if not zero, binds sessions to the visitor's device if the browser supports that (Device Bound
	// Session Credentials): from Regenerate on, a session is valid only with a proof by a key that the browser can't
	// give away. The browser renews the proof, which lasts for DeviceProof and a minute more; after that, cookies that
	// were copied from the machine stop working. In other browsers sessions work as without it. 10 minutes to an hour;
	// with 10 minutes, browsers sign as often as they may. It excludes Domain and Partitioned. Sessions that exist when
	// it is switched on stay as they are until they regenerate; switching it off logs nobody out. Switch it on when all
	// servers run a release that supports it.
	//
	// Experimental: the specification is a draft, and everything about devices may change in any release.
	DeviceProof time.Duration

	// DevicePath is where browsers register keys and renew proofs; if empty, it is Path, "/.cookiesession/" and Name.
	// Handler answers it instead of the application. What is in front of Handler must let POST requests for it through,
	// or answer 5xx: at a 4xx other than 403 browsers give up the key. It is written as in a URL, and must be below
	// Path. Leave it empty if a prefix is stripped from the path before Handler. Experimental.
	DevicePath string

	// DeviceHosts are the other hosts of this site whose pages send requests to this one, "app.example.com" or
	// "*.example.com", which doesn't include example.com: for their requests the browser renews a proof, too. Once the
	// proof has expired, a fetch or a form POST from an unlisted host is anonymous; under Handler, following a link
	// never is. Don't list a host of another site: for a link from there the browser would renew without its cookies,
	// and give up the key. Experimental.
	DeviceHosts []string

	// Revoked, if set, is called once for each session that opens and is otherwise valid. The Session is a copy for
	// reading. True refuses the session with ReasonRevoked. After an error, which is logged at most once a second, or a
	// panic, nobody knows whether the session is valid: the visitor is anonymous for this request, and nothing is
	// written that would replace the session. A response that changes something fails with that error, by default with
	// status 503; Destroy works all the same. The context is that of the request as Handler or Load received it.
	// Revoked runs inside the call that first uses the session: don't hold a lock there that Revoked takes. A list of
	// ended sessions must hold the first halves of IDs, since Regenerate keeps those; don't compare CreatedAt with the
	// time of an event, since Regenerate changes it.
	Revoked func(ctx context.Context, s *Session) (bool, error)

	// Import, if set, returns the values of a visitor who has no session cookie nor part of one, and no marker of a
	// logout: for instance those in another library's cookie. It is called when the session is first used, but not if
	// the browser withheld the cookies. The first response then saves the values. After an error, which is logged at
	// most once a second, the visitor is anonymous and nothing is saved, as after an error of Revoked: for a cookie
	// that will never be valid return nil values and no error. If one value can't be encoded, or all are larger than
	// MaxSize, none is imported, and the reason is logged. There is no session yet, so neither Load nor Get works with
	// the request. Revoked isn't asked before the session's own cookie comes back, so never about somebody who only
	// sends the old one: return nil values for a visitor whom it would refuse.
	Import func(r *http.Request) (map[string]any, error)

	// ImportCookies are the names of the other library's cookies. They are deleted, with Domain, Path and Partitioned of
	// this Config, when an imported session is first saved or has been emptied, and by Destroy. A response that imports
	// brings the imported session back if it arrives after one that logged out; that can happen as long as the browser
	// has those cookies.
	ImportCookies []string

	// OnReject, if set, is called for every session, lease or flash cookie that is refused: session and lease when the
	// session is first used, flash messages when one is asked for (but not by Revoked) or the session is saved or
	// destroyed. Neither Load nor Get works with the request.
	OnReject func(r *http.Request, err *RejectError)

	// ErrorHandler, if set, answers a request whose session could not be saved, and has to log that, since the library
	// doesn't then. The status, unless it writes another, is 500, or 503 if Revoked or Import had failed; so it is
	// without an ErrorHandler. Whatever the application's handler writes from then on is discarded.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)

	// CSRF is the check that ProtectCSRF makes first; nil means the zero value, which trusts no other origin, not even
	// another host of this site: AddTrustedOrigin names one whose pages send requests here.
	CSRF *http.CrossOriginProtection

	// CSRFFailure answers requests that ProtectCSRF refuses; nil means status 403, or 413 for a body over a limit. The
	// deny handler of CSRF isn't called.
	CSRFFailure http.Handler

	// Logger is slog.Default() if nil. It never gets cookie contents, values or secrets.
	Logger *slog.Logger
}

const (
	defaultName          = "session"
	defaultLifetime      = 24 * time.Hour
	defaultFlashLifetime = 10 * time.Minute
	defaultMaxSize       = 6144
	minMaxSize           = 512  // a session without values takes less than half, whatever its name
	partitionedMaxSize   = 9600 // browsers give a site 10,240 bytes there, lease and markers included
	maxNameLength        = 64
	maxAgeLimit          = 400 * 24 * time.Hour // RFC 6265bis, 5.5: what browsers cut a longer Max-Age to
	maxAttributeLength   = 1024                 // RFC 6265bis, 5.6: a longer attribute value is ignored
)

// complete fills in the defaults and returns an error for settings that are invalid or don't fit together. New checks
// what depends on the size of cookies.
func (c *Config) complete() error {
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.Path == "" {
		c.Path = "/"
	}
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	if c.MaxRemember == 0 {
		c.MaxRemember = maxAgeLimit
	}
	if c.FlashLifetime == 0 {
		c.FlashLifetime = defaultFlashLifetime
	}
	if c.MaxSize == 0 {
		c.MaxSize = defaultMaxSize
	}
	if c.CSRF == nil {
		c.CSRF = http.NewCrossOriginProtection()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if err := errors.Join(c.checkCookie(), c.checkTimes(), c.checkDevice()); err != nil {
		return err
	}
	if c.DevicePath == "" {
		c.DevicePath = strings.TrimSuffix(c.Path, "/") + devicePathStart + url.PathEscape(c.Name)
	}
	return nil
}

func (c *Config) checkCookie() error {
	if c.Keys == nil || c.Keys.current.Load() == nil {
		return errors.New("cookiesession: Config.Keys is missing; make a Keyring with NewKeyring, ParseKeyring or OpenKeyFile")
	}
	if len(c.Name) > maxNameLength {
		return fmt.Errorf("cookiesession: Config.Name has %d characters, want at most %d", len(c.Name), maxNameLength)
	}
	if strings.Contains(c.Name, ".") {
		return errors.New("cookiesession: Config.Name has a dot; dots separate the session's own cookies")
	}
	if strings.HasPrefix(c.Name, "__") {
		return errors.New("cookiesession: Config.Name starts with two underscores; leave the prefix out, it follows from Domain, Path and Insecure")
	}
	if (&http.Cookie{Name: c.Name}).Valid() != nil {
		return errors.New("cookiesession: Config.Name has a character that a cookie name may not have")
	}
	if len(c.Scope) > 1<<16-1 {
		return fmt.Errorf("cookiesession: Config.Scope has %d bytes, want at most %d", len(c.Scope), 1<<16-1)
	}
	if strings.Trim(c.Domain, ".") != c.Domain || (&http.Cookie{Name: "n", Domain: c.Domain}).Valid() != nil {
		return errors.New("cookiesession: Config.Domain is not a host name; write it without scheme, port, leading and trailing dot")
	}
	if len(c.Path) > maxAttributeLength {
		return fmt.Errorf("cookiesession: Config.Path has %d characters, want at most %d", len(c.Path), maxAttributeLength)
	}
	_, err := url.PathUnescape(c.Path) // net/http answers 400 to what doesn't unescape
	if err != nil || !strings.HasPrefix(c.Path, "/") || strings.ContainsAny(c.Path, notInPath) || hasDots(c.Path) ||
		(&http.Cookie{Name: "n", Path: c.Path}).Valid() != nil {
		return errors.New("cookiesession: Config.Path must start with / and be written as in a URL, percent-encoded where that needs it, without . or .. as a segment")
	}
	switch c.SameSite {
	case 0, http.SameSiteDefaultMode, http.SameSiteLaxMode, http.SameSiteStrictMode:
	case http.SameSiteNoneMode:
		if c.Insecure {
			return errors.New("cookiesession: Config.SameSite None needs Secure; browsers drop the cookie under Insecure (RFC 6265bis, 5.7)")
		}
	default:
		return fmt.Errorf("cookiesession: Config.SameSite %d is not one of package http's", c.SameSite)
	}
	if c.Partitioned && c.Insecure {
		return errors.New("cookiesession: Config.Partitioned needs Secure; browsers drop the cookie under Insecure")
	}
	return c.checkImportCookies()
}

// notInPath are characters that a browser percent-encodes in a URL's path, or that don't belong to it: it would never
// send a cookie with such a Path.
const notInPath = " \"#<>?\\`{}"

// hasDots reports whether a path has a segment "." or "..", percent-encoded or not: a browser resolves those before it
// compares a URL's path with a cookie's (URL Standard, 4.4).
func hasDots(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".", "..":
			return true
		}
	}
	return false
}

func (c *Config) checkImportCookies() error {
	for _, name := range c.ImportCookies {
		if (&http.Cookie{Name: name}).Valid() != nil {
			return fmt.Errorf("cookiesession: Config.ImportCookies: %q can't be a cookie's name", name)
		}
		lower := strings.ToLower(name)
		host, secure := strings.HasPrefix(lower, "__host-"), strings.HasPrefix(lower, "__secure-")
		if host && (c.Domain != "" || c.Path != "/") || (host || secure) && c.Insecure {
			return fmt.Errorf("cookiesession: Config.ImportCookies: browsers don't let %q be deleted with this Domain, Path and Insecure", name)
		}
		if rest, ok := strings.CutPrefix(name, c.cookieName()); ok && (rest == "" || rest[0] == '.') {
			return fmt.Errorf("cookiesession: Config.ImportCookies: %q is this Manager's own; choose another Name", name)
		}
	}
	return nil
}

func (c *Config) checkTimes() error {
	for _, setting := range []struct {
		name  string
		value time.Duration
	}{
		{"Lifetime", c.Lifetime},
		{"IdleTimeout", c.IdleTimeout},
		{"FlashLifetime", c.FlashLifetime},
		{"MaxRemember", c.MaxRemember},
	} {
		if setting.value == 0 { // IdleTimeout, off; the others have their defaults by now
			continue
		}
		if setting.value < time.Second || setting.value > maxAgeLimit {
			return fmt.Errorf("cookiesession: Config.%s is %v, want a second to 400 days (%v)", setting.name, setting.value, maxAgeLimit)
		}
	}
	if c.IdleTimeout > c.Lifetime {
		return fmt.Errorf("cookiesession: Config.IdleTimeout %v is longer than Lifetime %v and would never be reached", c.IdleTimeout, c.Lifetime)
	}
	return nil
}

// devicePathStart precedes Name at the end of the default DevicePath.
const devicePathStart = "/.cookiesession/"

func (c *Config) checkDevice() error {
	if d := c.DeviceProof; d != 0 && (d < 10*time.Minute || d > time.Hour) {
		return fmt.Errorf("cookiesession: Config.DeviceProof is %v, want 10 minutes to an hour", d)
	}
	if c.DeviceProof > 0 && c.Domain != "" {
		return errors.New("cookiesession: Config.DeviceProof doesn't go with Domain: another host of the domain couldn't renew a proof")
	}
	if c.DeviceProof > 0 && c.Partitioned {
		return errors.New("cookiesession: Config.DeviceProof doesn't go with Partitioned: browsers bind no partitioned cookies")
	}
	if c.DevicePath != "" {
		if err := c.checkDevicePath(); err != nil {
			return err
		}
	}
	for _, host := range c.DeviceHosts {
		name := strings.TrimPrefix(host, "*.")
		if name == "" || strings.Trim(name, ".") != name || (&http.Cookie{Name: "n", Domain: name}).Valid() != nil {
			return fmt.Errorf("cookiesession: Config.DeviceHosts: %.100q is not a host name, nor one behind %q", host, "*.")
		}
		if host != name && !strings.Contains(name, ".") {
			return fmt.Errorf("cookiesession: Config.DeviceHosts: %.100q has hosts of other sites in it", host)
		}
	}
	return nil
}

func (c *Config) checkDevicePath() error {
	_, err := url.PathUnescape(c.DevicePath)
	if err != nil || !strings.HasPrefix(c.DevicePath, "/") || path.Clean(c.DevicePath) != c.DevicePath || hasDots(c.DevicePath) ||
		strings.ContainsAny(c.DevicePath, notInPath) || (&http.Cookie{Name: "n", Path: c.DevicePath}).Valid() != nil {
		return errors.New("cookiesession: Config.DevicePath must start with /, end without, and be written as in a URL, percent-encoded where that needs it, without . or .. as a segment")
	}
	if below := strings.TrimSuffix(c.Path, "/") + "/"; !strings.HasPrefix(c.DevicePath, below) || c.DevicePath == below {
		return fmt.Errorf("cookiesession: Config.DevicePath %.100s isn't below Path %.100s: the cookies wouldn't reach it", c.DevicePath, c.Path)
	}
	return nil
}

// cookieName returns Name with the strictest prefix that the other settings allow.
func (c *Config) cookieName() string {
	switch {
	case c.Insecure:
		return c.Name
	case c.Domain != "" || c.Path != "/":
		return "__Secure-" + c.Name
	}
	return "__Host-" + c.Name
}
