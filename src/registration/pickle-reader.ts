import { ByteCursor } from './byte-cursor.ts';
import { IpcWrapperError } from './ipc-wrapper-error.ts';
import { bytesClass, isGlobal, isKnownGlobal, latin1Encoder, sizeClass, wrapperClass } from './ipc-wrapper-globals.ts';
import { opcodes } from './pickle-opcodes.ts';
import { PickleStack } from './pickle-stack.ts';
import { describe, expectKind, expectText, type Global, type PickleValue } from './pickle-values.ts';

const MIN_PROTOCOL = 2;
const MAX_PROTOCOL = 5;

/**
 * Reads a pickle of protocol 2 to 5 that consists of the opcodes of pickle-opcodes.ts and the names of
 * ipc-wrapper-globals.ts. Names are compared and calls are recognised; nothing is looked up and nothing is executed.
 * @throws IpcWrapperError for everything else, a byte too few and a byte too many included
 */
export function readPickle(bytes: Uint8Array): PickleValue {
  const input = new ByteCursor(bytes);
  const stack = new PickleStack();
  readProtocol(input);
  for (;;) {
    const at = input.offset;
    const opcode = input.uint8();
    if (opcode === opcodes.STOP) break;
    const step = steps.get(opcode);
    if (step === undefined) throw new IpcWrapperError(`has opcode 0x${opcode.toString(16)} at byte ${at}`);
    step(stack, input);
  }
  if (input.remainingBytes > 0) throw new IpcWrapperError(`goes on for ${input.remainingBytes} bytes after its end`);
  return stack.result();
}

type Step = (stack: PickleStack, input: ByteCursor) => void;

const steps: ReadonlyMap<number, Step> = new Map<number, Step>([
  [opcodes.FRAME, (_, input) => checkFrame(input)],
  [opcodes.MARK, (stack) => stack.mark()],

  [opcodes.GLOBAL, (stack, input) => stack.push(knownGlobal(input.line(), input.line()))],
  [opcodes.STACK_GLOBAL, (stack) => stack.push(globalFrom(...stack.popPair()))],
  [opcodes.NEWOBJ, (stack) => stack.push(newObject(...stack.popPair()))],
  [opcodes.REDUCE, (stack) => stack.push(callResult(...stack.popPair()))],
  [opcodes.BUILD, (stack) => setAttributes(stack.pop(), stack.top())],

  [opcodes.EMPTY_DICT, (stack) => stack.push({ kind: 'dict', entries: new Map() })],
  [opcodes.SETITEM, (stack) => setItems(stack.popPair(), stack.top())],
  [opcodes.SETITEMS, (stack) => setItems(stack.popToMark(), stack.top())],

  [opcodes.EMPTY_TUPLE, (stack) => stack.push({ kind: 'tuple', items: [] })],
  [opcodes.TUPLE1, (stack) => stack.push({ kind: 'tuple', items: [stack.pop()] })],
  [opcodes.TUPLE2, (stack) => stack.push({ kind: 'tuple', items: stack.popPair() })],
  [opcodes.TUPLE3, (stack) => pushTriple(stack)],
  [opcodes.TUPLE, (stack) => stack.push({ kind: 'tuple', items: stack.popToMark() })],

  [opcodes.NEWTRUE, (stack) => stack.push(true)],
  [opcodes.NEWFALSE, (stack) => stack.push(false)],
  [opcodes.BININT, (stack, input) => stack.push(input.int32())],
  [opcodes.BININT1, (stack, input) => stack.push(input.uint8())],
  [opcodes.BININT2, (stack, input) => stack.push(input.uint16())],
  [opcodes.LONG1, (stack, input) => stack.push(longFrom(input.bytes(input.uint8())))],

  [opcodes.BINUNICODE, (stack, input) => stack.push(input.text(input.uint32()))],
  [opcodes.SHORT_BINUNICODE, (stack, input) => stack.push(input.text(input.uint8()))],
  [opcodes.BINBYTES, (stack, input) => stack.push({ kind: 'bytes', bytes: input.bytes(input.uint32()) })],
  [opcodes.SHORT_BINBYTES, (stack, input) => stack.push({ kind: 'bytes', bytes: input.bytes(input.uint8()) })],

  [opcodes.BINPUT, (stack, input) => stack.memoize(input.uint8())],
  [opcodes.LONG_BINPUT, (stack, input) => stack.memoize(input.uint32())],
  [opcodes.MEMOIZE, (stack) => stack.memoize()],
  [opcodes.BINGET, (stack, input) => stack.recall(input.uint8())],
  [opcodes.LONG_BINGET, (stack, input) => stack.recall(input.uint32())],
]);

function readProtocol(input: ByteCursor): void {
  if (input.uint8() !== opcodes.PROTO) throw new IpcWrapperError('is not a pickle of protocol 2 or later');
  const protocol = input.uint8();
  if (protocol < MIN_PROTOCOL || protocol > MAX_PROTOCOL) {
    throw new IpcWrapperError(`has protocol ${protocol}; ${MIN_PROTOCOL} to ${MAX_PROTOCOL} are read`);
  }
}

/** A frame announces how many bytes follow, for readers that fetch them; all are here already. */
function checkFrame(input: ByteCursor): void {
  const lengthBytes = input.uint64();
  if (lengthBytes <= input.remainingBytes) return;
  throw new IpcWrapperError(`ends early: a frame of ${lengthBytes} bytes, ${input.remainingBytes} left`);
}

function longFrom(bytes: Uint8Array): number {
  const magnitude = bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const value = Number(BigInt.asIntN(bytes.length * 8, magnitude));
  if (!Number.isSafeInteger(value)) throw new IpcWrapperError(`has an integer of ${bytes.length} bytes`);
  return value;
}

function pushTriple(stack: PickleStack): void {
  const lastTwo = stack.popPair();
  stack.push({ kind: 'tuple', items: [stack.pop(), ...lastTwo] });
}

function globalFrom(module: PickleValue, name: PickleValue): Global {
  return knownGlobal(expectText(module, 'module name'), expectText(name, 'global name'));
}

function knownGlobal(module: string, name: string): Global {
  const global: Global = { kind: 'global', module, name };
  if (!isKnownGlobal(global)) throw new IpcWrapperError(`refers to ${describe(global)}`);
  return global;
}

function newObject(type: PickleValue, args: PickleValue): PickleValue {
  const isWrapper = isGlobal(expectKind(type, 'global', 'class'), wrapperClass);
  const isWithoutArguments = expectKind(args, 'tuple', 'arguments of a class').items.length === 0;
  if (!isWrapper || !isWithoutArguments) throw new IpcWrapperError(`makes an object of ${describe(type)}`);
  return { kind: 'instance', attributes: null };
}

function setAttributes(state: PickleValue, target: PickleValue): void {
  const instance = expectKind(target, 'instance', 'target of attributes');
  if (instance.attributes !== null) throw new IpcWrapperError('sets its attributes twice');
  instance.attributes = expectKind(state, 'dict', 'set of attributes').entries;
}

function setItems(keysAndValues: readonly PickleValue[], target: PickleValue): void {
  const { entries } = expectKind(target, 'dict', 'target of items');
  for (let i = 0; i < keysAndValues.length; i += 2) {
    const value = keysAndValues[i + 1];
    if (value === undefined) throw new IpcWrapperError('has a key without a value');
    entries.set(expectText(keysAndValues[i], 'key'), value);
  }
}

/** The result of the three calls that a pickler writes for a wrapper; all others are refused. */
function callResult(callee: PickleValue, args: PickleValue): PickleValue {
  const called = expectKind(callee, 'global', 'callee');
  const { items } = expectKind(args, 'tuple', 'arguments of a call');
  const [first, second] = items;
  if (isGlobal(called, sizeClass) && items.length === 1) {
    return { kind: 'size', items: expectKind(first, 'tuple', 'argument of torch.Size').items };
  }
  if (isGlobal(called, latin1Encoder) && items.length === 2 && second === 'latin1') {
    return { kind: 'bytes', bytes: latin1Bytes(expectText(first, 'text of bytes')) };
  }
  if (isGlobal(called, bytesClass) && items.length === 0) return { kind: 'bytes', bytes: new Uint8Array() };
  throw new IpcWrapperError(`calls ${describe(called)} with ${items.length} arguments`);
}

function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => {
    const code = character.charCodeAt(0);
    if (code > 0xff) throw new IpcWrapperError('has bytes that are not Latin-1 text');
    return code;
  });
}
