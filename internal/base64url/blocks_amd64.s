//go:build !purego

#include "textflag.h"

// Both functions follow Wojciech Muła and Daniel Lemire, "Faster Base64 Encoding and Decoding Using AVX2
// Instructions", ACM Transactions on the Web 12 (3), 2018, with 16 bytes for their 32 and the alphabet for URLs.

// func hasSSSE3() bool
TEXT ·hasSSSE3(SB), NOSPLIT, $0-1
	MOVL $1, AX
	CPUID
	SHRL $9, CX
	ANDL $1, CX
	MOVB CX, ret+0(FP)
	RET

// func decodeSSSE3(out []byte, src string, blocks int) bool
TEXT ·decodeSSSE3(SB), NOSPLIT, $0-49
	MOVQ  out_base+0(FP), DI
	MOVQ  src_base+24(FP), SI
	MOVQ  blocks+40(FP), CX
	MOVOU nibble<>(SB), X8
	MOVOU foreignLow<>(SB), X9
	MOVOU foreignHigh<>(SB), X10
	MOVOU offsets<>(SB), X11
	MOVOU underscore<>(SB), X12
	MOVOU underscoreOffset<>(SB), X13
	MOVOU pairs6<>(SB), X14
	MOVOU pairs12<>(SB), X15
	MOVOU gather<>(SB), X6
	PXOR  X7, X7 // gathers what is foreign to the alphabet

decode:
	// The high half of a character tells its range, and which low halves belong to it.
	MOVOU  (SI), X0
	MOVOU  X0, X1
	PSRLL  $4, X1
	PAND   X8, X1
	MOVOU  X0, X2
	PAND   X8, X2
	MOVOU  X9, X3
	PSHUFB X2, X3
	MOVOU  X10, X4
	PSHUFB X1, X4
	PAND   X4, X3
	POR    X3, X7

	// Add what leads from a character to its six bits. The underscore lies in the range of P to Z.
	MOVOU   X11, X5
	PSHUFB  X1, X5
	MOVOU   X0, X2
	PCMPEQB X12, X2
	PAND    X13, X2
	PADDB   X5, X0
	PADDB   X2, X0

	// Join six bits to 12, 12 to 24, and take the three bytes of each 24.
	PMADDUBSW X14, X0
	PMADDWL   X15, X0
	PSHUFB    X6, X0
	MOVOU     X0, (DI)

	ADDQ $16, SI
	ADDQ $12, DI
	DECQ CX
	JNZ  decode

	PXOR     X0, X0
	PCMPEQB  X0, X7
	PMOVMSKB X7, AX
	CMPL     AX, $0xffff
	SETEQ    ret+48(FP)
	RET

// func encodeSSSE3(out, src []byte, blocks int)
TEXT ·encodeSSSE3(SB), NOSPLIT, $0-56
	MOVQ  out_base+0(FP), DI
	MOVQ  src_base+24(FP), SI
	MOVQ  blocks+48(FP), CX
	MOVOU spread<>(SB), X6
	MOVOU outer6<>(SB), X7
	MOVOU outerShift<>(SB), X8
	MOVOU inner6<>(SB), X9
	MOVOU innerShift<>(SB), X10
	MOVOU lastLetter<>(SB), X11
	MOVOU lowerCase<>(SB), X12
	MOVOU upperRange<>(SB), X13
	MOVOU letters<>(SB), X14

encode:
	// Spread each three bytes over four, and move six bits into each of those by multiplications.
	MOVOU   (SI), X0
	PSHUFB  X6, X0
	MOVOU   X0, X1
	PAND    X7, X1
	PMULHUW X8, X1
	PAND    X9, X0
	PMULLW  X10, X0
	POR     X1, X0

	// Number the ranges of the alphabet: 0 is a to z, 1 to 10 are the digits, 11 '-', 12 '_', and 13 A to Z. Add what
	// leads from six bits to a character.
	MOVOU   X0, X1
	PSUBUSB X11, X1
	MOVOU   X12, X2
	PCMPGTB X0, X2
	PAND    X13, X2
	POR     X2, X1
	MOVOU   X14, X3
	PSHUFB  X1, X3
	PADDB   X3, X0
	MOVOU   X0, (DI)

	ADDQ $12, SI
	ADDQ $16, DI
	DECQ CX
	JNZ  encode
	RET

// BYTES defines 16 bytes, the first of them lowest.
#define BYTES(name, low, high) \
	DATA name<>+0(SB)/8, $low \
	DATA name<>+8(SB)/8, $high \
	GLOBL name<>(SB), RODATA|NOPTR, $16

// Decoding.
BYTES(nibble, 0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f)

// By high half, a bit for its range: 1 for '-', 2 for digits, 4 for A to O and a to o, 8 for P to Z and '_', 16 for
// p to z, 32 for what has none. By low half, the bits of the ranges that it does not belong to.
BYTES(foreignHigh, 0x1004080402012020, 0x2020202020202020)
BYTES(foreignLow, 0x2121212121212125, 0x333b3a3b3b232121)

// By high half, what leads to the six bits: 17 for '-', 4 for digits, -65 for capitals, -71 for others. For '_' it is
// 33 more.
BYTES(offsets, 0xb9b9bfbf04110000, 0x0000000000000000)
BYTES(underscore, 0x5f5f5f5f5f5f5f5f, 0x5f5f5f5f5f5f5f5f)
BYTES(underscoreOffset, 0x2121212121212121, 0x2121212121212121)

// Factors of neighbours, and where the bytes of each 24 bits are.
BYTES(pairs6, 0x0140014001400140, 0x0140014001400140)
BYTES(pairs12, 0x0001100000011000, 0x0001100000011000)
BYTES(gather, 0x090a040506000102, 0x808080800c0d0e08)

// Encoding.
BYTES(spread, 0x0405030401020001, 0x0a0b090a07080607)

// The first and third six bits of each 24, and factors that move them; then the second and fourth.
BYTES(outer6, 0x0fc0fc000fc0fc00, 0x0fc0fc000fc0fc00)
BYTES(outerShift, 0x0400004004000040, 0x0400004004000040)
BYTES(inner6, 0x003f03f0003f03f0, 0x003f03f0003f03f0)
BYTES(innerShift, 0x0100001001000010, 0x0100001001000010)

// Numbering the ranges, and by number what leads to the character: 71, -4 ten times, -17, 32 and 65.
BYTES(lastLetter, 0x3333333333333333, 0x3333333333333333)
BYTES(lowerCase, 0x1a1a1a1a1a1a1a1a, 0x1a1a1a1a1a1a1a1a)
BYTES(upperRange, 0x0d0d0d0d0d0d0d0d, 0x0d0d0d0d0d0d0d0d)
BYTES(letters, 0xfcfcfcfcfcfcfc47, 0x00004120effcfcfc)
