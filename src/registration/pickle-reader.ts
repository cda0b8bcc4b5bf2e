import { ByteCursor } from './byte-cursor.ts';
import { IpcWrapperError } from './ipc-wrapper-error.ts';
import {
  bytesClass,
  globalOf,
  isGlobal,
  isKnownGlobal,
  isPlainClass,
  latin1Encoder,
  objectClass,
  reconstructor,
  sizeClass,
  wrapperClass,
} from './ipc-wrapper-globals.ts';
import { opcodes } from './pickle-opcodes.ts';
import { PickleStack } from './pickle-stack.ts';
import { exactly, floatText, integerFrom, rawUnicodeFrom } from './pickle-text.ts';
import {
  describe,
  expectItems,
  expectKind,
  expectText,
  type Global,
  isKind,
  type PickleValue,
} from './pickle-values.ts';

const MAX_PROTOCOL = 5;

/** So much is read of a pickle that does not end; a wrapper has less than 1 KiB. */
const MAX_PICKLE_BYTES = 64 << 10;

/**
 * Reads a pickle of protocol 0 to 5 that consists of the opcodes of pickle-opcodes.ts and the names of
 * ipc-wrapper-globals.ts. Names are compared and calls are recognised; nothing is looked up and nothing is executed.
 * What follows the pickle is not looked at, as by Python.
 * @throws IpcWrapperError for everything else, a byte too few included
 */
export function readPickle(bytes: Uint8Array): PickleValue {
  const input = new ByteCursor(bytes.subarray(0, MAX_PICKLE_BYTES));
  const stack = new PickleStack();
  for (;;) {
    const at = input.offset;
    const opcode = input.uint8();
    if (opcode === opcodes.STOP) return stack.pop();
    const step = steps.get(opcode);
    if (step === undefined) throw new IpcWrapperError(`has opcode 0x${opcode.toString(16)} at byte ${at}`);
    step(stack, input);
  }
}

type Step = (stack: PickleStack, input: ByteCursor) => void;

const steps: ReadonlyMap<number, Step> = new Map<number, Step>([
  [opcodes.PROTO, (_, input) => checkProtocol(input.uint8())],
  [opcodes.FRAME, (_, input) => checkFrame(input)],
  [opcodes.MARK, (stack) => stack.mark()],
  [opcodes.POP, (stack) => stack.discard()],
  [opcodes.POP_MARK, (stack) => void stack.popToMark()],

  [opcodes.GLOBAL, (stack, input) => stack.push(knownGlobal(input.line(), input.line()))],
  [opcodes.STACK_GLOBAL, (stack) => stack.push(globalFrom(...stack.popPair()))],
  [opcodes.NEWOBJ, (stack) => stack.push(newObject(...stack.popPair()))],
  [opcodes.REDUCE, (stack) => stack.push(callResult(...stack.popPair()))],
  [opcodes.BUILD, (stack) => setAttributes(stack.pop(), stack.top())],

  [opcodes.EMPTY_DICT, (stack) => stack.push({ kind: 'dict', entries: new Map() })],
  [opcodes.DICT, (stack) => stack.push({ kind: 'dict', entries: entriesOf(stack.popToMark()) })],
  [opcodes.SETITEM, (stack) => setItems(stack.popPair(), stack.top())],
  [opcodes.SETITEMS, (stack) => setItems(stack.popToMark(), stack.top())],

  [opcodes.EMPTY_LIST, (stack) => stack.push({ kind: 'list', items: [] })],
  [opcodes.LIST, (stack) => stack.push({ kind: 'list', items: stack.popToMark() })],
  [opcodes.APPEND, (stack) => append([stack.pop()], stack.top())],
  [opcodes.APPENDS, (stack) => append(stack.popToMark(), stack.top())],

  [opcodes.EMPTY_SET, (stack) => stack.push({ kind: 'opaque' })],
  [opcodes.ADDITEMS, (stack) => void stack.popToMark()],
  [opcodes.FROZENSET, (stack) => pushOpaque(stack, stack.popToMark())],

  [opcodes.EMPTY_TUPLE, (stack) => stack.push({ kind: 'tuple', items: [] })],
  [opcodes.TUPLE1, (stack) => stack.push({ kind: 'tuple', items: [stack.pop()] })],
  [opcodes.TUPLE2, (stack) => stack.push({ kind: 'tuple', items: stack.popPair() })],
  [opcodes.TUPLE3, (stack) => pushTriple(stack)],
  [opcodes.TUPLE, (stack) => stack.push({ kind: 'tuple', items: stack.popToMark() })],

  [opcodes.NONE, (stack) => stack.push(null)],
  [opcodes.NEWTRUE, (stack) => stack.push(true)],
  [opcodes.NEWFALSE, (stack) => stack.push(false)],
  [opcodes.INT, (stack, input) => stack.push(intOrBoolFrom(input.line()))],
  [opcodes.LONG, (stack, input) => stack.push(integerFrom(input.line().replace(/L$/, '')))],
  [opcodes.BININT, (stack, input) => stack.push(input.int32())],
  [opcodes.BININT1, (stack, input) => stack.push(input.uint8())],
  [opcodes.BININT2, (stack, input) => stack.push(input.uint16())],
  [opcodes.LONG1, (stack, input) => stack.push(longFrom(input.bytes(input.uint8())))],
  [opcodes.FLOAT, (stack, input) => pushFloat(stack, floatText(input.line()))],
  [opcodes.BINFLOAT, (stack, input) => pushFloat(stack, input.bytes(8))],

  [opcodes.UNICODE, (stack, input) => stack.push(rawUnicodeFrom(input.latin1Line()))],
  [opcodes.BINUNICODE, (stack, input) => stack.push(input.text(input.uint32()))],
  [opcodes.SHORT_BINUNICODE, (stack, input) => stack.push(input.text(input.uint8()))],
  [opcodes.BINBYTES, (stack, input) => stack.push({ kind: 'bytes', bytes: input.bytes(input.uint32()) })],
  [opcodes.SHORT_BINBYTES, (stack, input) => stack.push({ kind: 'bytes', bytes: input.bytes(input.uint8()) })],
  [opcodes.BYTEARRAY8, (stack, input) => pushOpaque(stack, input.bytes(Number(input.uint64())))],

  [opcodes.PUT, (stack, input) => stack.memoize(indexFrom(input.line()))],
  [opcodes.BINPUT, (stack, input) => stack.memoize(input.uint8())],
  [opcodes.LONG_BINPUT, (stack, input) => stack.memoize(input.uint32())],
  [opcodes.MEMOIZE, (stack) => stack.memoize()],
  [opcodes.GET, (stack, input) => stack.recall(indexFrom(input.line()))],
  [opcodes.BINGET, (stack, input) => stack.recall(input.uint8())],
  [opcodes.LONG_BINGET, (stack, input) => stack.recall(input.uint32())],
]);

function checkProtocol(protocol: number): void {
  if (protocol > MAX_PROTOCOL) throw new IpcWrapperError(`has protocol ${protocol}; 0 to ${MAX_PROTOCOL} are read`);
}

/** A frame announces how many bytes follow, for readers that fetch them; all are here already. */
function checkFrame(input: ByteCursor): void {
  const lengthBytes = input.uint64();
  if (lengthBytes <= input.remainingBytes) return;
  throw new IpcWrapperError(`ends early: a frame of ${lengthBytes} bytes, ${input.remainingBytes} left`);
}

function indexFrom(line: string): number {
  const index = integerFrom(line);
  if (typeof index === 'number' && index >= 0) return index;
  throw new IpcWrapperError(`has memo index ${index}`);
}

/** Protocols 0 and 1 have no booleans: CPython writes them as integers with a leading 0. */
function intOrBoolFrom(line: string): PickleValue {
  if (line === '00') return false;
  return line === '01' ? true : integerFrom(line);
}

function longFrom(bytes: Uint8Array): number | bigint {
  const magnitude = bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  return exactly(BigInt.asIntN(bytes.length * 8, magnitude));
}

function pushTriple(stack: PickleStack): void {
  const lastTwo = stack.popPair();
  stack.push({ kind: 'tuple', items: [stack.pop(), ...lastTwo] });
}

function pushOpaque(stack: PickleStack, _content: unknown): void {
  stack.push({ kind: 'opaque' });
}

/** No part of a wrapper is a float, whose value is not kept. */
function pushFloat(stack: PickleStack, _content: unknown): void {
  stack.push({ kind: 'float' });
}

function globalFrom(module: PickleValue, name: PickleValue): Global {
  return knownGlobal(expectText(module, 'module name'), expectText(name, 'global name'));
}

function knownGlobal(module: string, name: string): Global {
  const global = globalOf(module, name);
  if (!isKnownGlobal(global)) throw new IpcWrapperError(`refers to ${describe(global)}`);
  return global;
}

function newObject(type: PickleValue, args: PickleValue): PickleValue {
  const isWrapper = isGlobal(expectKind(type, 'global', 'class'), wrapperClass);
  const isWithoutArguments = expectKind(args, 'tuple', 'arguments of a class').items.length === 0;
  if (!isWrapper || !isWithoutArguments) throw new IpcWrapperError(`makes an object of ${describe(type)}`);
  return { kind: 'instance', attributes: new Map() };
}

function setAttributes(state: PickleValue, target: PickleValue): void {
  const { attributes } = expectKind(target, 'instance', 'target of attributes');
  const { entries } = expectKind(state, 'dict', 'set of attributes');
  for (const [name, value] of entries) attributes.set(name, value);
}

function setItems(keysAndValues: readonly PickleValue[], target: PickleValue): void {
  const { entries } = expectKind(target, 'dict', 'target of items');
  for (const [key, value] of entriesOf(keysAndValues)) entries.set(key, value);
}

function entriesOf(keysAndValues: readonly PickleValue[]): Map<PickleValue, PickleValue> {
  const entries = new Map<PickleValue, PickleValue>();
  for (let i = 0; i < keysAndValues.length; i += 2) {
    const value = keysAndValues[i + 1];
    if (value === undefined) throw new IpcWrapperError('has a key without a value');
    entries.set(keysAndValues[i]!, value);
  }
  return entries;
}

function append(added: readonly PickleValue[], target: PickleValue): void {
  const { items } = expectKind(target, 'list', 'target of items');
  for (const item of added) items.push(item);
}

/** The result of the calls that a pickler writes for a wrapper and for plain values; all others are refused. */
function callResult(callee: PickleValue, args: PickleValue): PickleValue {
  const called = expectKind(callee, 'global', 'callee');
  const { items } = expectKind(args, 'tuple', 'arguments of a call');
  const [first, second] = items;
  if (isGlobal(called, sizeClass) && items.length === 1) {
    return { kind: 'tuple', items: expectItems(first, 'argument of torch.Size') };
  }
  if (isGlobal(called, latin1Encoder) && items.length === 2 && second === 'latin1') {
    return { kind: 'bytes', bytes: latin1Bytes(expectText(first, 'text of bytes')) };
  }
  if (isGlobal(called, bytesClass) && items.length === 0) return { kind: 'bytes', bytes: new Uint8Array() };
  if (isGlobal(called, reconstructor) && isPlainReconstruction(items)) {
    return newObject(first!, { kind: 'tuple', items: [] });
  }
  if (isPlainClass(called)) return { kind: 'opaque' };
  throw new IpcWrapperError(`calls ${describe(called)} with ${items.length} arguments`);
}

/** `_reconstructor(class, object, None)`: an object of the class without a call of its constructor. */
function isPlainReconstruction([, base, state, ...more]: readonly PickleValue[]): boolean {
  return isKind(base, 'global') && isGlobal(base, objectClass) && state === null && more.length === 0;
}

function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => {
    const code = character.charCodeAt(0);
    if (code > 0xff) throw new IpcWrapperError('has bytes that are not Latin-1 text');
    return code;
  });
}
