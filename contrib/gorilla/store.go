// Package gorilla puts [cookiesession] behind the Store interface of [github.com/gorilla/sessions], so that an
// application switches by changing the line that makes its store:
//
//	var store = sessions.NewCookieStore([]byte(os.Getenv("SESSION_KEY")))
//	var store = gorilla.NewCookieStore(os.Getenv("SESSION_KEYS"))
//
// Handlers keep their store.Get, session.Values, session.AddFlash and session.Save. Values come back with the types
// that they had, gob.Register for types of your own included. With the old store as a second argument nobody is logged
// out:
//
//	var store = gorilla.NewCookieStore(os.Getenv("SESSION_KEYS"), sessions.NewCookieStore([]byte(os.Getenv("SESSION_KEY"))))
//
// # What differs
//
//   - Keys of session.Values must be strings. Save returns an error for any other.
//   - Save writes cookies only if something changed. A session with MaxAge 30 days so ends 30 days after it started,
//     not after its last Save. A new ID, see below, starts the time anew; Config.IdleTimeout is for what slides.
//   - The cookie has a prefix, such as __Host-, and may be several. Values are encrypted always; together they may have
//     some 4,400 bytes by default, not 4,096 with all overhead.
//   - A cookie that is refused, because it has expired, was tampered with or has an unknown key, is no error of Get:
//     the visitor has a new session. Config.OnReject, Config.Logger and Stats tell why.
//   - session.Options start as Config says. A MaxAge below 0 destroys the session: copies of the cookie that slow
//     responses bring back are refused. With 0 this one session ends with the browser from now on, whatever
//     Config.Persistent says, as after [cookiesession.Session.Persist] with false. Any other MaxAge than Config's keeps
//     the session for that long from the Save that changes it, as [cookiesession.Session.Remember] does. Path, Domain,
//     SameSite, Secure and Partitioned can't differ from Config's: Save returns an error for a value that asks for
//     something else, and takes an empty one for Config's. HttpOnly is always on.
//   - session.ID is the cookiesession ID, empty before the first Save. Setting it to "" makes Save give the session a
//     new one: do so at login.
//   - Flashes live in Values, as with gorilla/sessions, so reading them changes the session.
//
// A response without Save sets no cookies, so under Config.IdleTimeout a visitor who only reads counts as idle. Save
// after the first byte of the body is too late, without an error. With the Manager's Handler in front, see
// [Store.Manager], every response sets the cookies that it must, and a late Save returns an error. Handlers can then
// use both packages on one session, and move from the one to the other.
package gorilla

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/gorilla/sessions"
	"github.com/seed-50e21e88/cookiesession"
)

// A Store is a [sessions.Store] that keeps sessions as a [cookiesession.Manager] does, one Manager for each name. It is
// safe for concurrent use.
type Store struct {
	config   cookiesession.Config
	takeOver []sessions.Store
	options  sessions.Options // of a new session

	mu       sync.Mutex
	managers map[string]*cookiesession.Manager // by session name
	opened   sync.Map                          // weak.Pointer[sessions.Session] to weak.Pointer[opened]
}

// An opened is a session as the application gets it, and the one that it shows. They are one allocation, which lives as
// long as somebody holds a pointer to a part of it, so both go when the request does. A map from the one to the other
// would keep every request for ever: a cookiesession leads to its request, whose context leads to gorilla's registry,
// which leads back to the key.
type opened struct {
	gorilla sessions.Session
	session *cookiesession.Session
}

var _ sessions.Store = (*Store)(nil)

// NewCookieStore returns a Store with the keys that [cookiesession.ParseKeyring] reads from text, and else the settings
// of gorilla's NewCookieStore, as far as they are safe: cookies stay in the browser for 30 days, with Path "/"; Secure,
// HttpOnly and SameSite=Lax are on. It panics if text holds no keys. See [New] for takeOver.
func NewCookieStore(text string, takeOver ...sessions.Store) *Store {
	keys, err := cookiesession.ParseKeyring(text)
	if err != nil {
		panic(err)
	}
	s, err := New(cookiesession.Config{Keys: keys, Lifetime: 30 * 24 * time.Hour, Persistent: true}, takeOver...)
	if err != nil {
		panic(err)
	}
	return s
}

// New returns a Store. Session names take the place of c.Name, which must be empty. An inconsistent c is an error.
//
// The stores to take over are asked in turn for the session of a visitor who has none here. It lives on from the first
// Save, which deletes the old store's cookie. A session with a key that isn't a string, or with a value that package gob
// can't encode, counts as none: the visitor starts anew. Config.Import must be nil then.
func New(c cookiesession.Config, takeOver ...sessions.Store) (*Store, error) {
	if len(takeOver) > 0 && c.Import != nil {
		return nil, errors.New("cookiesession/gorilla: Config.Import and stores to take over exclude each other")
	}
	if c.Name != "" {
		return nil, errors.New("cookiesession/gorilla: Config.Name is set; the name is Get's argument")
	}
	s := &Store{config: c, takeOver: takeOver, managers: make(map[string]*cookiesession.Manager)}
	s.options = sessions.Options{
		Path: c.Path, Domain: c.Domain, Secure: !c.Insecure, HttpOnly: true, Partitioned: c.Partitioned, SameSite: c.SameSite,
	}
	if s.options.Path == "" {
		s.options.Path = "/"
	}
	if s.options.SameSite == 0 {
		s.options.SameSite = http.SameSiteLaxMode
	}
	if c.Persistent {
		lifetime := c.Lifetime
		if lifetime == 0 {
			lifetime = 24 * time.Hour
		}
		s.options.MaxAge = int(lifetime / time.Second)
	}
	_, err := cookiesession.New(c)
	return s, err
}

// Manager returns the Manager that keeps the sessions of a name. Its Handler in front of the application lets handlers
// use both packages on one session. An error means that name doesn't fit Config.
func (s *Store) Manager(name string) (*cookiesession.Manager, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.managers[name]; m != nil {
		return m, nil
	}
	c := s.config
	c.Name = name
	if len(s.takeOver) > 0 {
		c.Import = importAs(name, s.takeOver, pack)
		c.ImportCookies = append([]string{name}, c.ImportCookies...)
	}
	m, err := cookiesession.New(c)
	if err == nil {
		s.managers[name] = m
	}
	return m, err
}

// Get returns the session of r, the same at every call for one request.
func (s *Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New returns the session of r, opened afresh: use [Store.Get]. It never returns a nil session. The error, with which
// the session is new, says that name can't be used, what Config.Import failed with, or that a value can't be decoded
// since its type isn't registered with package gob.
func (s *Store) New(r *http.Request, name string) (*sessions.Session, error) {
	o := &opened{gorilla: *sessions.NewSession(s, name)}
	g := &o.gorilla
	*g.Options = s.options
	g.IsNew = true
	m, err := s.Manager(name)
	if err != nil {
		return g, err
	}
	session, err := m.Load(r)
	if rejected := (*cookiesession.RejectError)(nil); err != nil && !errors.As(err, &rejected) {
		return g, err
	}
	o.session = session
	s.note(o)
	for key, value := range session.All() {
		if g.Values[key], err = unpack(value); err != nil {
			clear(g.Values)
			return g, fmt.Errorf("cookiesession/gorilla: value of %.40q: %w", key, err)
		}
	}
	g.IsNew = session.IsNew() && session.IsEmpty() // what was taken over isn't new
	if !session.IsNew() {
		g.ID = session.ID()
	}
	return g, nil
}

// note lets session find o for as long as that is in use.
func (s *Store) note(o *opened) {
	key := weak.Make(&o.gorilla)
	s.opened.Store(key, weak.Make(o))
	runtime.AddCleanup(o, func(key weak.Pointer[sessions.Session]) { s.opened.Delete(key) }, key)
}

// session returns the session that g shows.
func (s *Store) session(m *cookiesession.Manager, r *http.Request, g *sessions.Session) *cookiesession.Session {
	if o, ok := s.opened.Load(weak.Make(g)); ok {
		return o.(weak.Pointer[opened]).Value().session // g is a part of it
	}
	session, _ := m.Load(r) // g was made by sessions.NewSession, so nobody asked what came
	return session
}

// Save writes what changed in g to the response header. It may be called again after further changes. The error says
// what in g can't be stored, or is a [*cookiesession.SizeError]; the browser then keeps what it has.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, g *sessions.Session) error {
	m, err := s.Manager(g.Name())
	if err != nil {
		return err
	}
	session := s.session(m, r, g)
	if g.Options != nil && g.Options.MaxAge < 0 {
		session.Destroy()
		g.ID = ""
		return m.Save(w.Header(), session)
	}
	if err := s.change(session, g); err != nil {
		return err
	}
	if err := m.Save(w.Header(), session); err != nil {
		return err
	}
	if !session.IsNew() || session.Changed() {
		g.ID = session.ID()
	}
	return nil
}

// change makes session what g says.
func (s *Store) change(session *cookiesession.Session, g *sessions.Session) error {
	life, err := s.life(g.Options)
	if err != nil {
		return err
	}
	endsWithBrowser := g.Options != nil && g.Options.MaxAge == 0 && s.options.MaxAge > 0
	changed := make(map[string]any)
	for key, value := range g.Values {
		k, ok := key.(string)
		if !ok {
			return fmt.Errorf("cookiesession/gorilla: key %.40q of session.Values is of type %T, want a string", fmt.Sprint(key), key)
		}
		// Package gob writes maps in random order, so it's the values that are compared.
		if old, err := unpack(session.Get(k)); err == nil && session.Has(k) && reflect.DeepEqual(old, value) {
			continue
		}
		if changed[k], err = pack(value); err != nil {
			return fmt.Errorf("cookiesession/gorilla: value of %.40q: %w", k, err)
		}
	}
	for _, key := range session.Keys() {
		if _, ok := g.Values[key]; !ok {
			session.Delete(key)
		}
	}
	for key, value := range changed {
		session.Put(key, value)
	}
	if !session.IsNew() && g.ID != session.ID() {
		session.Regenerate()
	}
	switch {
	case endsWithBrowser:
		session.Persist(false)
	case life > 0 && session.Changed():
		session.Remember(life)
	}
	return nil
}

// life returns how long the options want this session to live other than Config says, or 0.
func (s *Store) life(o *sessions.Options) (time.Duration, error) {
	if o == nil {
		return 0, nil
	}
	for _, setting := range []struct {
		name    string
		differs bool
	}{
		{"Path", o.Path != "" && o.Path != s.options.Path},
		{"Domain", o.Domain != "" && o.Domain != s.options.Domain},
		{"SameSite", o.SameSite > http.SameSiteDefaultMode && o.SameSite != s.options.SameSite},
		{"Secure", o.Secure && !s.options.Secure},
		{"Partitioned", o.Partitioned && !s.options.Partitioned},
	} {
		if setting.differs {
			return 0, fmt.Errorf("cookiesession/gorilla: session.Options.%s differs from the Store's; set it in its Config", setting.name)
		}
	}
	switch {
	case o.MaxAge == s.options.MaxAge || o.MaxAge == 0:
		return 0, nil
	case o.MaxAge > 400*24*60*60:
		return 0, fmt.Errorf("cookiesession/gorilla: session.Options.MaxAge is %d, want at most 400 days", o.MaxAge)
	}
	return time.Duration(o.MaxAge) * time.Second, nil
}
