interface Elements<T> {
  readonly length: number;
  [index: number]: T;
}

/**
 * Elements of a strided view in row-major order: walks the output and steps through the input.
 * @param from what the view looks on, from its first element on
 * @param to gets them, as long as `shape` says
 * @param strides elements from one index to the next, by axis
 */
export function gather<T>(
  from: Elements<T>,
  to: Elements<T>,
  shape: readonly number[],
  strides: readonly number[],
): void {
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0, position = 0; i < to.length; i++) {
    to[i] = from[position]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      position -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
}
