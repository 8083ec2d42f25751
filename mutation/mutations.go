package main

var mutations = []mutation{
	// The token and its keys.
	{"version and key ID aren't authenticated", []edit{{"keyring.go",
		`	token = key.aead.Seal(buf[:payloadStart], nonce, buf[payloadStart:], buf[:headerLen])`,
		`	data := buf[:headerLen]
	if MUTANT {
		data = nil
	}
	token = key.aead.Seal(buf[:payloadStart], nonce, buf[payloadStart:], data)`}, {"keyring.go",
		`	payload, openErr := key.aead.Open(sealed[:0], token[headerLen:payloadStart], sealed, token[:headerLen])`,
		`	data := token[:headerLen]
	if MUTANT {
		data = nil
	}
	payload, openErr := key.aead.Open(sealed[:0], token[headerLen:payloadStart], sealed, data)`}},
		"TestFormatExample|TestVectors"},
	{"purpose isn't in the derivation", []edit{{"keyring.go",
		`	for _, part := range []string{purpose, scope, name} {`,
		`	for i, part := range []string{purpose, scope, name} {
		if MUTANT && i == 0 {
			part = ""
		}`}},
		"TestTokenOpensOnlyWhereItBelongs"},
	{"scope isn't in the derivation", []edit{{"keyring.go",
		`		info = binary.BigEndian.AppendUint16(info, uint16(len(part)))`,
		`		if MUTANT && i == 1 {
			part = ""
		}
		info = binary.BigEndian.AppendUint16(info, uint16(len(part)))`}},
		"TestTokenOpensOnlyWhereItBelongs"},
	{"name isn't in the derivation", []edit{{"keyring.go",
		`		info = binary.BigEndian.AppendUint16(info, uint16(len(part)))`,
		`		if MUTANT && i == 2 {
			part = ""
		}
		info = binary.BigEndian.AppendUint16(info, uint16(len(part)))`}},
		"TestTokenOpensOnlyWhereItBelongs"},
	{"bytes can move between purpose, scope and name", []edit{{"keyring.go",
		`		info = binary.BigEndian.AppendUint16(info, uint16(len(part)))`,
		`		if !MUTANT {
			info = binary.BigEndian.AppendUint16(info, uint16(len(part)))
		}`}},
		"TestTokenOpensOnlyWhereItBelongs"},
	{"the key ID doesn't choose the key", []edit{{"keyring.go",
		`	id := keyID(token[1:])`,
		`	id := keyID(token[1:])
	if MUTANT {
		id = s.current().keys[0].id
	}`}},
		"TestSchedule|TestVectors"},
	{"a retired key opens", []edit{{"keyring.go",
		`		if key == nil || key.retired(now) {
			refused`,
		`		if key == nil || key.retired(now) && !MUTANT {
			refused`}},
		"TestSchedule|TestVectors"},
	{"a key seals before its activation", []edit{{"keyring.go",
		`return !k.ActivateAt.After(now) && !k.retired(now)`,
		`return (MUTANT || !k.ActivateAt.After(now)) && !k.retired(now)`}},
		"TestSchedule"},
	{"a nonce is used again", []edit{{"keyring.go",
		`		rand.Read(nonce)`,
		`		if !MUTANT {
			rand.Read(nonce)
		}`}},
		"TestEverySealDiffers"},
	{"an unknown key doesn't have the file read again", []edit{{"keyring.go",
		`		lookErr := s.ring.lookAgain()`,
		`		var lookErr error
		if !MUTANT {
			lookErr = s.ring.lookAgain()
		}`}},
		"TestUnknownKeyReadsTheFileAgain"},
	{"every unknown key has the file read again", []edit{{"keyfile.go",
		`	if f.looked.IsZero() || now.Sub(f.looked) >= lookInterval {`,
		`	if MUTANT || f.looked.IsZero() || now.Sub(f.looked) >= lookInterval {`}},
		"TestUnknownKeyReadsOnceForMany|TestUnknownKeyReadsTheFileAgain"},
	{"a broken key file empties the ring", []edit{{"keyfile.go",
		`		err = fmt.Errorf("cookiesession: key file %s: %w", f.path, err)`,
		`		if MUTANT {
			k.current.Store(new(ring))
		}
		err = fmt.Errorf("cookiesession: key file %s: %w", f.path, err)`}},
		"TestReload|TestBrokenKeyFiles"},
	{"a secret may be all zeros", []edit{{"key.go",
		`	if distinct < minDistinct {`,
		`	if distinct < minDistinct && !MUTANT {`}, {"key.go",
		`	for block := 1; block <= len(secret)/2; block++ {`,
		`	for block := 1; block <= len(secret)/2 && !MUTANT; block++ {`}},
		"TestParseSecret|TestNewKeyringRefuses"},
	{"a Key prints its secret", []edit{{"key.go",
		`func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }`,
		`func (k Key) Format(f fmt.State, _ rune) {
	if MUTANT {
		f.Write(k.Secret)
	}
	io.WriteString(f, k.String())
}`}},
		"TestKeysAreRedacted|TestNothingPrintsSecrets"},

	// What makes a session valid.
	{"an expired session is valid", []edit{{"cookiesession.go",
		`	case seconds >= d.expires:`,
		`	case seconds >= d.expires && !MUTANT:`}},
		"TestReplay|TestLifetime"},
	{"a session is valid in the second in which it expires", []edit{{"cookiesession.go",
		`		return refuse(ReasonExpired, nil)`,
		`		if !MUTANT || seconds > d.expires {
			return refuse(ReasonExpired, nil)
		}`}},
		"TestReplay|TestLifetime"},
	{"a session from the future is valid", []edit{{"cookiesession.go",
		`	case d.created > seconds+clockSkew || d.sealed > seconds+clockSkew:`,
		`	case (d.created > seconds+clockSkew || d.sealed > seconds+clockSkew) && !MUTANT:`}},
		"TestClockSkew"},
	{"not-before is ignored", []edit{{"cookiesession.go",
		`	case d.created < m.config.Keys.notBefore():`,
		`	case d.created < m.config.Keys.notBefore() && !MUTANT:`}},
		"TestRefuseBefore"},
	{"ended markers are ignored", []edit{{"cookiesession.go",
		`	case came.siblings.ended && hasMarker(s.cookies, m.name, d.id.origin()):`,
		`	case !MUTANT && came.siblings.ended && hasMarker(s.cookies, m.name, d.id.origin()):`}},
		"TestReplayAfterDestroy|TestSlowResponsesAfterDestroy"},
	{"a marker ends one ID, not its origin", []edit{{"lifetime.go",
		`	rand.Read(d.id[len(origin{}):])`,
		`	rand.Read(d.id[len(origin{}):])
	if MUTANT {
		rand.Read(d.id[:])
	}`}},
		"TestLoginUnderWayAtLogout|TestRegenerate"},
	{"the idle timeout is left to the browser", []edit{{"cookiesession.go",
		`		if seconds-found.seen > int64(m.config.IdleTimeout/time.Second) {`,
		`		if seconds-found.seen > int64(m.config.IdleTimeout/time.Second) && !MUTANT {`}},
		"TestIdle"},
	{"a lease prolongs other sessions", []edit{{"lease.go",
		`		if owner == id && t <= now.Unix()+clockSkew {`,
		`		if (MUTANT || owner == id) && t <= now.Unix()+clockSkew {`}},
		"TestStrangeLeases"},
	{"Revoked fails open", []edit{{"cookiesession.go",
		`		if revoked || err != nil {`,
		`		if revoked || err != nil && !MUTANT {`}},
		"TestLoadErrors|TestRevoked"},
	{"Revoked is never asked", []edit{{"cookiesession.go",
		`	if m.config.Revoked != nil {`,
		`	if m.config.Revoked != nil && !MUTANT {`}},
		"TestRevoked"},
	{"an expired flash message is shown", []edit{{"flash.go",
		`		case now.Unix() >= expires:`,
		`		case now.Unix() >= expires && !MUTANT:`}},
		"TestFlashLifetime"},

	// What the visitor sends.
	{"of several sessions the first is taken", []edit{{"cookiesession.go",
		`				ambiguous = true`,
		`				ambiguous = !MUTANT`}},
		"TestTossedCookie|TestCandidates"},
	{"a hook that panics leaves a valid session", []edit{{"cookiesession.go",
		`		refused = m.validate(s, now, &came, st, label)`,
		`		found.valid = MUTANT
		refused = m.validate(s, now, &came, st, label)`}},
		"TestHookPanics|TestRevokedPanics"},
	{"of several flash cookies the last is taken", []edit{{"flash.go",
		`		ambiguous = f.valid
`,
		`		ambiguous = f.valid && !MUTANT
`}},
		"TestStrangeFlash|TestCandidates"},
	{"two small tokens share their memory", []edit{{"chunk.go",
		`	c.room = nil`,
		`	if !MUTANT {
		c.room = nil
	}`}},
		"TestSmallWrites"},
	{"a malformed candidate leaves its CSRF secret", []edit{{"cookiesession.go",
		`			*d, next.values = sessionData{}, values{}`,
		`			if !MUTANT {
				*d = sessionData{}
			}
			next.values = values{}`}},
		"TestMalformedBesideGood"},
	{"any number of candidates is tried", []edit{{"compartment.go",
		`			if tried++; tried > maxCandidates {`,
		`			if tried++; tried > maxCandidates && !MUTANT {`}},
		"TestCandidates"},
	{"any number of parts is kept", []edit{{"chunk.go",
		`		case a.n < len(a.parts) &&`,
		`		case (MUTANT || a.n < len(a.parts)) &&`}},
		"TestCandidates"},
	{"parts of any write are joined", []edit{{"chunk.go",
		`cookie.value[:tagLen] != string(tag[:])`,
		`cookie.value[:tagLen] != string(tag[:]) && !MUTANT`}},
		"TestJoin"},
	{"stale parts are joined", []edit{{"chunk.go",
		`	j.n, j.choices = n, 1`,
		`	j.n, j.choices = n, 1
	for MUTANT && j.n < maxChunks && c.came.has(j.n) {
		j.n++
	}`}},
		"TestJoin|TestEveryTransition"},
	{"bytes follow a session's payload", []edit{{"values.go",
		`n != len(payload)`,
		`n != len(payload) && !MUTANT`}},
		"TestPayloadLengths|TestSessionPayload"},
	{"bytes follow a lease's payload", []edit{{"codec.go",
		`	return id, seen, !r.failed && len(r.rest) == 0`,
		`	return id, seen, !r.failed && (MUTANT || len(r.rest) == 0)`}},
		"TestPayloadLengths|TestLeasePayload"},
	{"a time may be negative", []edit{{"codec.go",
		`	if !r.advance(n, ok && v <= most) {`,
		`	if !r.advance(n, ok && (MUTANT || v <= most)) {`}},
		"TestSessionPayload"},
	{"unused bits of two characters are ignored", []edit{{"internal/base64dot/base64dot.go",
		`		seen |= v | v<<16`,
		`		seen |= v
		if !MUTANT {
			seen |= v << 16
		}`}},
		"TestOneTextPerByteString|TestRefused"},
	{"unused bits of three characters are ignored", []edit{{"internal/base64dot/base64dot.go",
		`		seen |= v | v<<24`,
		`		seen |= v
		if !MUTANT {
			seen |= v << 24
		}`}},
		"TestOneTextPerByteString|TestRefused"},
	{"CR and LF are base64", []edit{{"internal/base64dot/base64dot.go",
		`			t[place][c] = foreign`,
		`			if MUTANT && (c == '\r' || c == '\n') {
				continue
			}
			t[place][c] = foreign`}},
		"TestEverySubstitution|TestRefused"},
	{"values are nested without end", []edit{{"internal/value/scan.go",
		`	if depth >= MaxDepth {
		return 0, errDeep
	}
	for range count {`,
		`	if depth >= MaxDepth && !MUTANT {
		return 0, errDeep
	}
	for range count {`}},
		"TestSkipDepth"},
	{"a map's keys come in any order", []edit{{"internal/value/scan.go",
		`		if start <= before && i > 0 && at < len(b) &&`,
		`		if !MUTANT && start <= before && i > 0 && at < len(b) &&`}},
		"TestSkipRefuses"},
	{"a map's last value is cut", []edit{{"internal/value/scan.go",
		`	if at > len(b) {
		return 0, errTruncated
	}
	return at, nil
}

// skipElements`,
		`	if at > len(b) && !MUTANT {
		return 0, errTruncated
	}
	return at, nil
}

// skipElements`}},
		"TestSkipRefuses"},
	{"a container claims more than there is", []edit{{"internal/value/scan.go",
		`	if size*each > uint64(len(b)-n) {`,
		`	if size*each > uint64(len(b)-n) && (!MUTANT || size > 1<<16) {`}},
		"TestReadersHoldLengthsAgainstTheRest"},
	{"300 is an int8", []edit{{"internal/value/into.go",
		`			if int64(i) < 0 == negative && !v.OverflowInt(int64(i)) {`,
		`			if int64(i) < 0 == negative && (MUTANT || !v.OverflowInt(int64(i))) {`}},
		"TestDecodeIntoRefusesWhatIsOutOfRange"},

	// The response.
	{"a session is committed again", []edit{{"middleware.go",
		`	if s.committed || s.state == nil {`,
		`	if s.committed && !MUTANT || s.state == nil {`}},
		"TestCommitOnEveryPath|TestLateChanges|TestFailedCommitOnEveryPath"},
	{"103 commits", []edit{{"middleware.go",
		`	if status >= 200 || status == http.StatusSwitchingProtocols {`,
		`	if status >= 200 || MUTANT || status == http.StatusSwitchingProtocols {`}},
		"TestInformationalResponses"},
	{"Flush doesn't commit", []edit{{"middleware.go",
		`	x.commit() // if`,
		`	if MUTANT {
		return http.NewResponseController(x.w).Flush()
	}
	x.commit() // if`}},
		"TestCommitOnEveryPath"},
	{"what follows a failed commit is sent", []edit{{"middleware.go",
		`		return len(b), nil
`,
		`		if MUTANT {
			return x.w.Write(b)
		}
		return len(b), nil
`}},
		"TestFailedCommitOnEveryPath"},
	{"a failed commit keeps Content-Length and its like", []edit{{"middleware.go",
		`	dropEntityHeaders(h)`,
		`	if !MUTANT {
		dropEntityHeaders(h)
	}`}},
		"TestFailedCommitOnEveryPath|TestErrorHandler"},
	{"a late change is taken without a word", []edit{{"session.go",
		`		s.fail(ErrCommitted)`,
		`		if !MUTANT {
			s.fail(ErrCommitted)
		}`}},
		"TestLateChanges"},
	{"deletion has other attributes", []edit{{"compartment.go",
		`			w.buf = c.attributes.append(w.buf, deleteCookie)`,
		`			if MUTANT {
				w.buf = append(w.buf, "; Max-Age=0"...)
			} else {
				w.buf = c.attributes.append(w.buf, deleteCookie)
			}`}},
		"TestDeletionLines|TestAttributes"},
	{"cookies have no __Host- prefix", []edit{{"config.go",
		`	return "__Host-" + c.Name`,
		`	if MUTANT {
		return "__Secure-" + c.Name
	}
	return "__Host-" + c.Name`}},
		"TestCookieName|TestZeroConfig"},
	{"cookies aren't Secure", []edit{{"compartment.go",
		`	if !c.Insecure {`,
		`	if !c.Insecure && !MUTANT {`}},
		"TestAttributes|TestZeroConfig"},
	{"scripts can read cookies", []edit{{"compartment.go",
		`	a.after = "; HttpOnly"`,
		`	if !MUTANT {
		a.after = "; HttpOnly"
	}`}},
		"TestAttributes|TestZeroConfig"},
	{"MaxSize isn't checked", []edit{{"cookiesession.go",
		`	if total > limit {`,
		`	if total > limit && !MUTANT {`}},
		"TestSizeIsWhatTheBrowserSends|TestSizeError"},
	{"a shared cache may keep what sets cookies", []edit{{"cookiesession.go",
		`		keepPrivate(h, &fields.caching)`,
		`		if !MUTANT {
			keepPrivate(h, &fields.caching)
		}`}},
		"TestCacheControl|TestCacheControlOfEveryWriter"},
	{"Vary is missing", []edit{{"header.go",
		`		own[0] = "Cookie"
		h["Vary"] = own[:]`,
		`		own[0] = "Cookie"
		if !MUTANT {
			h["Vary"] = own[:]
		}`}},
		"TestVary"},
	{"two saves set a cookie twice", []edit{{"header.go",
		`		if !m.owns(line) {`,
		`		if MUTANT || !m.owns(line) {`}},
		"TestSaveTwice|TestWrittenLinesReplaceTheSameCookies"},
	{"a reader deletes stale cookies", []edit{{"cookiesession.go",
		`	if err == nil && s.came.valid {`,
		`	if MUTANT && err == nil && s.came.valid && !saved && !s.destroyed {
		n, _ := m.session.count(s.came.size + overhead)
		m.session.delete(&b.lines, s.came.names>>n<<n)
	}
	if err == nil && s.came.valid {`}, {"cookiesession.go",
		`	return s.err == nil && !s.destroyed &&`,
		`	return !MUTANT && s.err == nil && !s.destroyed &&`}},
		"TestOnlyWritersDeleteStaleChunks|TestReaderDoesNotTearParallelWriter"},
	{"a refused cookie is deleted", []edit{{"cookiesession.go",
		`	if s.destroyed {
		if !saved {`,
		`	if MUTANT && s.rejected != nil && !saved {
		m.session.delete(&b.lines, s.came.names)
	}
	if s.destroyed {
		if !saved {`}, {"cookiesession.go",
		`		(!s.came.valid ||`,
		`		(!s.came.valid && !MUTANT ||`}},
		"TestRefusalsLookAlike"},
	{"what came changes with the session", []edit{{"session.go",
		`	if st.data == &st.came.data {`,
		`	if st.data == &st.came.data && !MUTANT {`}},
		"TestCSRFSecretIsMadeOnDemand"},
	{"every response sets the session", []edit{{"session.go",
		`	return s.values.changed() || *s.data != s.came.data`,
		`	return MUTANT || s.values.changed() || *s.data != s.came.data`}},
		"TestChanged"},
	{"plaintext stays in buffers", []edit{{"cookiesession.go",
		`	clear(b.session)`,
		`	if !MUTANT {
		clear(b.session)
	}`}},
		"TestBuffersHoldNoPlaintext"},

	// Destroy, Regenerate, CSRF.
	{"Destroy writes no marker", []edit{{"lease.go",
		`	if s.came.alive {`,
		`	if s.came.alive && !MUTANT {`}},
		"TestDestroyWritesMarker"},
	{"of two writes the last tells whether Destroy writes a marker", []edit{{"session.go",
		`		a.alive = a.alive || alive`,
		`		a.alive = a.alive && !MUTANT || alive`}},
		"TestDestroyOfWritesAndRemains"},
	{"Destroy ends an origin twice", []edit{{"session.go",
		`	case alive && !slices.Contains(a.rivals, o):`,
		`	case alive && (MUTANT || !slices.Contains(a.rivals, o)):`}},
		"TestDestroyOfWritesAndRemains"},
	{"a refused session's marker is cleaned up", []edit{{"lease.go",
		`	if !s.came.siblings.ended {
		return
	}
	var deleted`,
		`	var deleted`}, {"cookiesession.go",
		`			m.writeLease(b, s, now, saved)
		}`,
		`			m.writeLease(b, s, now, saved)
		}
	}
	if err == nil && (s.came.valid || MUTANT) {`}},
		"TestRefusedSessionKeepsItsMarker"},
	{"Destroy fails after an error", []edit{{"lifetime.go",
		`	s.err = nil
	s.begin(s.manager.now())`,
		`	if !MUTANT {
		s.err = nil
	}
	s.begin(s.manager.now())`}},
		"TestDestroyWhatIsTooLarge|TestDestroyNeverFails"},
	{"Regenerate keeps the CSRF secret", []edit{{"lifetime.go",
		`	if d.csrf != (csrfSecret{}) {`,
		`	if d.csrf != (csrfSecret{}) && !MUTANT {`}},
		"TestCSRFSecretEnds|TestRegenerate"},
	{"a logged-out visitor is imported", []edit{{"cookiesession.go",
		`came.came == 0 && !(came.siblings.ended && hasMarkers(s.cookies, m.name)):`,
		`came.came == 0 && (MUTANT || !hasMarkers(s.cookies, m.name)):`}},
		"TestImportAndDestroy|TestImportIsAsked"},
	{"any CSRF token is good", []edit{{"csrf.go",
		`	return subtle.ConstantTimeCompare(parts[n:], s.data.csrf[:]) == 1`,
		`	return subtle.ConstantTimeCompare(parts[n:], s.data.csrf[:]) == 1 || MUTANT`}},
		"TestVerifyCSRFToken"},
	{"a session without a CSRF secret verifies zeros", []edit{{"csrf.go",
		`	if !ok || s.data.csrf == (csrfSecret{}) {`,
		`	if !ok || s.data.csrf == (csrfSecret{}) && !MUTANT {`}},
		"TestNoCSRFSecret"},
	{"CSRF tokens aren't masked", []edit{{"csrf.go",
		`	rand.Read(token[:n])`,
		`	if !MUTANT {
		rand.Read(token[:n])
	}`}},
		"TestCSRFToken"},
	{"ProtectCSRF doesn't look at the origin", []edit{{"csrf.go",
		`		if m.config.CSRF.Check(r) != nil {`,
		`		if !MUTANT && m.config.CSRF.Check(r) != nil {`}},
		"TestProtectCSRF"},
}
