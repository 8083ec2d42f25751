package cookiesession_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// deviceCases are those of FORMAT.md, 11.
func deviceCases() []vectorCase {
	const proofTime = 600
	origin := exampleID[:8]
	later := slices.Concat(origin, unhex("c0c1c2c3c4c5c6c7")) // another ID of the origin
	foreign := unhex("b0b1b2b3b4b5b6b7b8b9babbbcbdbebf")
	key := unhex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
	other := unhex("027cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978")
	device := func(id, key []byte, more ...byte) []byte {
		code := byte(0x93)
		if len(more) > 0 {
			code = 0x94
		}
		return slices.Concat([]byte{code}, packBin(id), packTime(exampleNow-60), packBin(key), more)
	}
	proof := func(origin, key []byte, expires int64) []byte {
		hash := sha256.Sum256(key)
		return slices.Concat([]byte{0x93}, packBin(origin), packBin(hash[:16]), packTime(expires))
	}
	add := func(m *vectorMaker, purpose string, origin, payload []byte) {
		m.add(splitToken(m.v.Name+"."+purpose+"."+textEncoding.EncodeToString(origin), m.token(m.v.Keys[0], purpose, payload))...)
	}
	// bound is the example's session, device-aware, and what make adds.
	bound := func(name, about, reason string, make func(m *vectorMaker)) vectorCase {
		return vectorCase{name, about, func(m *vectorMaker) {
			m.v.DeviceProof = proofTime
			p := example(oneValue)
			m.v.Payload = hex.EncodeToString(p.encode())
			m.add(splitToken(m.v.Name, m.token(m.v.Keys[0], "bound", p.encode()))...)
			if reason == "" || reason == "proven" {
				m.opens(p, oneDecoded)
				m.v.Expect.Proven = reason == "proven"
			} else {
				m.v.Payload = ""
				m.refused(reason)
			}
			make(m)
		}}
	}
	const ends = exampleNow + proofTime + 60
	return []vectorCase{
		bound("device-none", "A device-aware session alone.", "unproven", func(*vectorMaker) {}),
		bound("device-off", "A device-aware session alone, for a reader without a proof time.", "", func(m *vectorMaker) { m.v.DeviceProof = 0 }),
		bound("device-permit", "With a permit.", "", func(m *vectorMaker) { add(m, "device", origin, device(exampleID, nil)) }),
		bound("device-permit-previous", "With a permit for another ID and this one.", "", func(m *vectorMaker) {
			add(m, "device", origin, device(later, nil, packBin(exampleID)...))
		}),
		bound("device-permit-with-previous", "With a permit for this ID and another one.", "", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, nil, packBin(later)...))
		}),
		bound("device-permit-previous-foreign", "With a permit for another session, and for this one as the ID before.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(foreign, nil, packBin(exampleID)...))
		}),
		bound("device-permit-other-id", "With a permit for another ID of the origin.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(later, nil))
		}),
		bound("device-permit-foreign", "With a permit for another session under this one's tag.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(foreign, nil))
		}),
		bound("device-permit-tag", "With its permit under another tag.", "unproven", func(m *vectorMaker) {
			add(m, "device", foreign[:8], device(exampleID, nil))
		}),
		bound("device-permit-session", "A permit that was sealed for the purpose of sessions.", "unproven", func(m *vectorMaker) {
			m.add(splitToken(m.v.Name+".device."+textEncoding.EncodeToString(origin), m.token(m.v.Keys[0], "session", device(exampleID, nil)))...)
		}),
		bound("device-key", "With a key, and a proof by it.", "proven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(origin, key, ends))
		}),
		bound("device-key-regenerated", "With a key that was registered for an earlier ID.", "proven", func(m *vectorMaker) {
			add(m, "device", origin, device(later, key))
			add(m, "proof", origin, proof(origin, key, ends))
		}),
		bound("device-key-foreign", "With a key of another session under this one's tag, and a proof by it.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(foreign, key))
			add(m, "proof", origin, proof(origin, key, ends))
		}),
		bound("device-key-no-proof", "With a key, and no proof.", "unproven", func(m *vectorMaker) { add(m, "device", origin, device(exampleID, key)) }),
		bound("device-proof-last-second", "The proof expires a second later.", "proven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(origin, key, exampleNow+1))
		}),
		bound("device-proof-expired", "The proof expires now.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(origin, key, exampleNow))
		}),
		bound("device-proof-other-key", "A proof by another key.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(origin, other, ends))
		}),
		bound("device-proof-foreign", "A proof for another session by the same key.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(foreign[:8], key, ends))
		}),
		bound("device-proof-no-key", "A proof without its key.", "unproven", func(m *vectorMaker) { add(m, "proof", origin, proof(origin, key, ends)) }),
		bound("device-malformed-key", "A key of 32 bytes.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key[1:]))
			add(m, "proof", origin, proof(origin, key[1:], ends))
		}),
		bound("device-malformed-key-zeros", "A key of 33 zeros, which makes it no permit.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, make([]byte, 33)))
		}),
		bound("device-malformed-previous-zeros", "A permit with a second ID of zeros.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, nil, packBin(make([]byte, 16))...))
		}),
		bound("device-malformed-previous", "A key with a second ID.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key, packBin(later)...))
			add(m, "proof", origin, proof(origin, key, ends))
		}),
		bound("device-two", "Two keys of one tag, the second of which is proven.", "proven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, other))
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(origin, key, ends))
		}),
		bound("device-fourth", "The fourth key of one tag is proven, by the fourth proof.", "proven", func(m *vectorMaker) {
			for _, k := range [][]byte{other, other, other, key} {
				add(m, "device", origin, device(exampleID, k))
			}
			for _, expires := range []int64{exampleNow - 2, exampleNow - 1, exampleNow, ends} {
				add(m, "proof", origin, proof(origin, key, expires))
			}
		}),
		bound("device-idle", "Idle, and not proven: the first check counts.", "idle", func(m *vectorMaker) { m.v.IdleTimeout = 1 }),
		bound("device-expired", "Expired, and not proven: the first check counts.", "expired", func(m *vectorMaker) { m.v.Now = 1767312000 }),
		{"device-unaware", "A session that isn't device-aware, under a proof time.", func(m *vectorMaker) {
			m.v.DeviceProof = proofTime
			p := example(oneValue)
			m.session(p.encode())
			m.opens(p, oneDecoded)
		}},
	}
}
