// The product of matrices: part of kernels.inc.hpp, whose rules hold here, too.
#pragma once

namespace otfast::isa {
namespace {

/// What of C a tile covers: as much as the registers hold beside a column of vectors of A.
constexpr Index kTileVectors = OTFAST_VECTOR_BYTES == 16 ? 2 : 3;
constexpr Index kTileCols = OTFAST_VECTOR_BYTES == 64 ? 8 : 4;
template <class T>
constexpr Index kTileRows = kTileVectors * kLanes<T>;

/// Copies `count` rows and `depth` columns of a matrix to a panel of `width` rows, column after column; missing rows
/// are zero.
template <Index width, class T>
void pack_panel(const T* from, Index row_step, Index col_step, Index count, Index depth, T* panel) {
  for (Index p = 0; p < depth; ++p) {
    const T* column = from + p * col_step;
    T* to = panel + p * width;
    if (count == width) {
      for (Index r = 0; r < width; ++r) to[r] = column[r * row_step];
    } else {
      for (Index r = 0; r < width; ++r) to[r] = r < count ? column[r * row_step] : T{0};
    }
  }
}

/// c += a b for a panel of A and one of B; of c only `rows` rows and `cols` columns are touched.
template <class T>
void multiply_panels(const T* a, const T* b, Index depth, Index rows, Index cols, T* c, Index c_step) {
  Vector<T> sums[kTileCols][kTileVectors] = {};
  for (Index p = 0; p < depth; ++p) {
    Vector<T> left[kTileVectors];
    for (Index u = 0; u < kTileVectors; ++u) left[u] = load(a + p * kTileRows<T> + u * kLanes<T>);
    for (Index j = 0; j < kTileCols; ++j) {
      const T right = b[p * kTileCols + j];
      for (Index u = 0; u < kTileVectors; ++u) sums[j][u] += left[u] * right;
    }
  }
  if (rows == kTileRows<T> && cols == kTileCols) {
    for (Index j = 0; j < kTileCols; ++j) {
      for (Index u = 0; u < kTileVectors; ++u) {
        T* to = c + j * c_step + u * kLanes<T>;
        store(to, load(to) + sums[j][u]);
      }
    }
    return;
  }
  T column[kTileRows<T>];
  for (Index j = 0; j < cols; ++j) {
    for (Index u = 0; u < kTileVectors; ++u) store(column + u * kLanes<T>, sums[j][u]);
    for (Index i = 0; i < rows; ++i) c[j * c_step + i] += column[i];
  }
}

template <class T>
void multiply(Strided<T> a, Strided<T> b, Index rows, Index cols, Index depth, bool triangle, T* c, Index c_step,
              T* scratch) {
  constexpr Index height = kTileRows<T>;
  static_assert(kProductRows % height == 0 && kTileCols <= kProductCols);
  T* const right = scratch + kProductRows * kProductDepth;
  for (Index p = 0; p < depth; p += kProductDepth) {
    const Index deep = lower(kProductDepth, depth - p);
    for (Index i = 0; i < rows; i += kProductRows) {
      const Index high = lower(kProductRows, rows - i);
      for (Index r = 0; r < high; r += height) {
        pack_panel<height>(a.data + (i + r) * a.row_step + p * a.col_step, a.row_step, a.col_step,
                           lower(height, high - r), deep, scratch + r * deep);
      }
      for (Index j = 0; j < cols; j += kTileCols) {
        if (triangle && i + high <= j) break;
        const Index wide = lower(kTileCols, cols - j);
        pack_panel<kTileCols>(b.data + p * b.row_step + j * b.col_step, b.col_step, b.row_step, wide, deep, right);
        for (Index r = 0; r < high; r += height) {
          if (triangle && i + r + height <= j) continue;
          multiply_panels(scratch + r * deep, right, deep, lower(height, high - r), wide, c + j * c_step + i + r,
                          c_step);
        }
      }
    }
  }
}

}  // namespace
}  // namespace otfast::isa
