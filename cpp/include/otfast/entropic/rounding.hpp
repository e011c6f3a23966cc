// What a feasible plan and a dual bound need of a cost: hard minima, and the cost of a product measure.
#pragma once

#include <vector>

#include "otfast/core/cost.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/core/views.hpp"

namespace otfast::entropic {

/// min_j C_ij - g_j for every row i: the largest potentials of rows that g allows. +inf for a row that is forbidden
/// altogether.
template <class T>
std::vector<double> c_transform_of_columns(const Cost<T>& cost, VectorView<const double> g, Monitor& monitor);

/// min_i C_ij - f_i for every column j.
template <class T>
std::vector<double> c_transform_of_rows(const Cost<T>& cost, VectorView<const double> f, Monitor& monitor);

/// sum_ij r_i C_ij c_j over pairs with r_i > 0 and c_j > 0: +inf where one of them is forbidden. Weights are not
/// negative.
template <class T>
double product_value(const Cost<T>& cost, VectorView<const double> r, VectorView<const double> c, Monitor& monitor);

}  // namespace otfast::entropic
