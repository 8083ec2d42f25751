package main

// functions are those on which security depends, as package runtime writes their names, without the path of the root
// package: (*Manager).validate, value.skipEntries, keyfile.Period.Retired. A variable that a function literal
// initializes is named like a function.
var functions = []string{
	// The token and its keys.
	"(*derivedRing).named", "newSealer", "(*sealer).current", "(*sealer).derive", "(*sealer).seal", "(*sealer).named", "(*sealer).openToken",
	"newRing", "(*ring).sealing", "(*Keyring).Replace", "(*Keyring).notBefore", "unixCeil", "(*Keyring).Fingerprint", "(*Keyring).Format",
	"GenerateKey", "ParseSecret", "decodeHex", "decodeBase64", "checkSecret", "checkLabel", "Key.check", "Key.shownLabel",
	"Key.fingerprint", "expand", "Key.Format", "Key.MarshalText",
	"(*Keyring).load", "keysOf", "isKeysNotPath", "(*Keyring).rereadForUnknownKey", "(*keyFile).waitFor",
	"(*Keyring).startRead", "(*Keyring).putIntoForce", "readKeyFile", "readWhole",
	"keyfile.Period.Retired", "keyfile.Period.Active", "keyfile.(*File).Sealing", "keyfile.MayBeSecret", "keyfile.Parse",
	"keyfile.parseList", "keyfile.parseJSON", "keyfile.(*parser).object", "keyfile.(*parser).key",
	"keyfile.(*parser).time", "keyfile.(*File).Rotate", "keyfile.(*File).prolong", "keyfile.(*File).sealUntil",

	// What the visitor sends.
	"base64dot.pairs", "base64dot.values", "base64dot.DecodedLen", "base64dot.AppendDecode", "base64dot.decode",
	"cookiename.Parse", "cookiename.parseKind", "cookiename.Split", "cookiename.ParseTag",
	"receive", "(*received).holds", "(*received).only", "(*received).first", "cookiesNamed", "trimRight", "unquote",
	"chunksOf", "(*received).token", "decodeText", "(*received).join", "(*received).tagged", "readTag",
	"tagOf", "newSplitter", "(*splitter).count", "(*splitter).split",
	"(*compartment).open", "(*compartment).write", "(*compartment).delete", "(*buffer).release",
	"appendSession", "decodeSession", "readHead", "readUsualHead", "decodeFlash", "decodeLease", "(*reader).array",
	"(*reader).bin", "(*reader).optionalBin", "(*reader).uint", "(*reader).advance",
	"pair.value", "(*values).read", "(*values).find", "(*values).findChange", "(*values).get", "(*values).set",
	"(*values).clear", "(*values).all", "(*values).append",
	"value.sizes", "value.skip", "value.skipUnsized", "value.skipLong", "value.Entries", "value.skipEntries",
	"value.shortKey", "value.longKey", "value.ascending", "value.skipElements",
	"value.prefixes", "value.ReadUint", "value.ReadString", "value.readBody", "value.readHeader", "value.readInt",
	"value.readTime", "value.sized", "value.decodeScalar",

	// What makes a session valid.
	"(*Manager).open", "(*Session).open", "(*Session).openOnce", "(*Session).setState", "(*Session).view", "(*Manager).noteFacts",
	"(*Manager).choose", "(*Manager).decodeCandidates", "(*Manager).validate", "(*Manager).importValues",
	"(*Manager).withholds",
	"(*Session).isWithheld", "newState", "(*state).received", "(*Session).bind", "(*Session).originalRequest",
	"(*Session).forHook", "(*Session).endedMarkers", "(*Session).hasMarker", "readMarker", "(*Manager).openLeases", "lastUse",
	"(*Session).leaseDue", "(*Manager).readFlash",

	// What changes it.
	"(*Session).changing", "(*Session).unlock", "(*Session).mayDo", "(*Session).fail", "(*Session).set",
	"(*Session).put", "(*Session).pull", "(*Session).swap", "(*Session).Increment", "(*Session).Clear",
	"(*Session).isNew", "(*Session).Changed", "(*Session).dirty", "(*Session).hasContent", "(*Session).deletions",
	"(*Session).encode", "(*Session).drawID", "(*Session).Format",
	"(*Session).newData", "(*Session).grantLifetime", "(*Session).Regenerate", "(*Session).Remember",
	"(*Session).expireIn", "(*Session).Persist", "(*Session).setMode", "(*Session).Destroy", "(*Session).maxAge",
	"seconds", "(*Session).endedOrigins", "(*Manager).writeMarkers", "(*Manager).marker", "(*Manager).pruneMarkers",
	"(*Manager).writeLease", "(*Session).IdleAt", "(*Session).Passive",
	"(*Session).openFlash", "(*flash).action", "(*flash).isSpared", "(*flash).outcome", "(*Session).keptSize", "(*Session).isPrefetch",
	"(*Session).consumeFlash", "(*Session).Flash", "(*Session).keep",

	// The response.
	"(*Manager).save", "(*Manager).Save", "(*Manager).saveByHand", "(*Session).lockToSave",
	"(*Session).nothingToWrite", "(*Manager).writeValues", "(*Manager).writeHint",
	"(*Session).needsFlash", "(*Manager).Load", "(*Manager).newCompartment",
	"(*Manager).checkTotal", "(*Session).receivedSize", "(*Manager).checkImport", "(*Manager).checkSize",
	"(*lines).end", "(*lines).add", "(*lines).putInto", "(*lines).sets", "cookieNameOf", "attributeOf", "varyCookie",
	"defaultToPrivate", "stopSharedCaching", "keepPrivate", "splitDirectives", "(*attributes).isFor", "newAttributes", "sameSiteAttribute",
	"(*attributes).append",
	"(*Config).checkCookie", "hasDots", "(*Config).checkImportCookies", "(*Config).checkTimes", "(*Config).cookieName",
	"(*Manager).Handler", "(*Session).end", "(*exchange).Value", "(*exchange).Format", "(*exchange).commit",
	"(*exchange).save", "(*exchange).saveOnce", "(*exchange).fail", "(*Manager).answerUnsaved", "describesEntity",
	"entityHeadersIn", "(*errorPage).WriteHeader",
	"(*errorPage).Write", "(*errorPage).begin", "(*exchange).WriteHeader", "(*exchange).Write",
	"(*exchange).WriteString", "(*exchange).discard", "(*exchange).ReadFrom", "(*exchange).FlushError", "(*unwrapped).Hijack",
	"(*exchange).hijack", "(*exchange).hasUnsent", "(*remarks).status", "clearsCookies", "(*Manager).report",
	"(*Manager).reportAll",

	// Sessions bound to a device.
	"(*device).permits", "hashKey", "(*Manager).binding", "(*Manager).openDevices", "(*Manager).openDevice",
	"(*Manager).hasDevice",
	"(*Manager).writeDevice", "(*Manager).deleteDevices", "(*Manager).sealChallenge", "(*Manager).openChallenge",
	"(*Manager).isForDevice", "(*deviceRequest).answer", "(*deviceRequest).isWithheld", "Reason.mayPass",
	"(*deviceRequest).register", "(*deviceRequest).acceptKey", "(*deviceRequest).refresh", "(*deviceRequest).grant",
	"(*Manager).answerUnproven", "skippedFor",
	"dbscjwt.Parse", "dbscjwt.(*Proof).Register", "dbscjwt.(*Proof).Refresh", "dbscjwt.(*Proof).signedBy",
	"dbscjwt.parseKey", "dbscjwt.compress", "dbscjwt.decompress", "dbscjwt.decode", "dbscjwt.members", "dbscjwt.text",

	// Requests that another site makes.
	"(*Session).CSRFToken", "(*Session).VerifyCSRFToken", "(*Session).RegenerateCSRFToken", "(*Manager).ProtectCSRF",
	"(*Session).checkCSRF", "(*Manager).refuseCSRF", "CSRFError", "requestToken", "parseForm",
}
